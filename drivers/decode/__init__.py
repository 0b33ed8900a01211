"""Raw answers become values, each with a quality or a reason; pure."""
