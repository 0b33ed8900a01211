"""What a line and its traffic tell somebody who looks for a fault: scan, capture, dissect, diagnose."""
