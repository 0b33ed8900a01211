"""What people ask of a running gateway, over a unix socket."""
