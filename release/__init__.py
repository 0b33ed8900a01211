"""Makes what is handed out: wheels for boxes without internet, and the Debian package."""
