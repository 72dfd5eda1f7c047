"""The knowledge base's domain: shipped runbooks, reading and cutting documents, building queries, fusing rankings."""
