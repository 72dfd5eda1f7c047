"""Documents into chunks: Markdown, HTML, PDF and text."""
