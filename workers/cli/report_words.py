"""What ``kb`` reports, in Portuguese and Spanish; the English stands in the command.

A table of its own: a report is said by its template, and an error must not be taken for one.
"""

from __future__ import annotations

REPORT_WORDS: dict[str, tuple[str, str]] = {
    "{count} passages of an older version analysed again": (
        "{count} trecho(s) de uma versão anterior analisado(s) de novo",
        "{count} pasaje(s) de una versión anterior analizado(s) de nuevo",
    ),
    "nothing found": ("nada encontrado", "no se encontró nada"),
    "embedded {done}/{total} passages": (
        "vetores de {done}/{total} trechos",
        "vectores de {done}/{total} pasajes",
    ),
    "indexed {path} ({chunks} passages)": ("indexado {path} ({chunks} trechos)", "indexado {path} ({chunks} pasajes)"),
    "empty {path}": ("sem texto {path}", "sin texto {path}"),
    "removed {path}": ("removido {path}", "eliminado {path}"),
    "failed {path}: {error}": ("falhou {path}: {error}", "falló {path}: {error}"),
    "{count} indexed ({chunks} passages)": (
        "{count} indexado(s) ({chunks} trechos)",
        "{count} indexado(s) ({chunks} pasajes)",
    ),
    "{count} unchanged": ("{count} sem mudança", "{count} sin cambios"),
    "{count} removed": ("{count} removido(s)", "{count} eliminado(s)"),
    "{count} without text": ("{count} sem texto", "{count} sin texto"),
    "{count} failed": ("{count} com erro", "{count} con error"),
    "{count} passages embedded": ("{count} vetores de trechos", "{count} vectores de pasajes"),
    "score {score}": ("pontos {score}", "puntos {score}"),
    "backend": ("tipo", "tipo"),
    "where": ("onde", "dónde"),
    "documents": ("documentos", "documentos"),
    "passages": ("trechos", "pasajes"),
    "embedded": ("vetores", "vectores"),
    "updated": ("atualizada", "actualizada"),
    "none": ("nenhum", "ninguno"),
    "never": ("nunca", "nunca"),
}
"""English: (Portuguese, Spanish)."""
