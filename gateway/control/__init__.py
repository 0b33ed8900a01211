"""Control of a running gateway by its operators, over a unix socket."""
