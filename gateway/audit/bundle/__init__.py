"""Files that are copied unchanged into every audit bundle."""
