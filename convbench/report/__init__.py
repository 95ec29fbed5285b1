"""What people see of a run: figures, HTML, Markdown, the terminal."""
