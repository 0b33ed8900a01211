"""What a gateway would have announced, computed from a file of facts."""
