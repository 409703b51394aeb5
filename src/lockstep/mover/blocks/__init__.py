"""How rows travel: blocks of them as the lines that PostgreSQL's COPY reads."""
