"""Questions about the work of a border post: from a row of a file to a prompt and its gold answer."""
