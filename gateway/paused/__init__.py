"""What runs while nothing can be counted, and why it cannot."""
