"""Images in: named data sets, folders and files, and one untrusted upload."""
