"""What a ledger proves: verified, computed anew, shown, exported, reconciled; reads a ledger alone."""
