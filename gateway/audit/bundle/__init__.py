"""What goes into every audit bundle as it stands."""
