// Every text of the page, in each language. `{n}` is replaced; a text with forms of the plural is chosen by its `n`.
export const texts = {
  pt: {
    skip: "Ir para o conteúdo", title: "Diagnósticos do Resync", language: "Idioma",
    "ask.title": "Nova pergunta", "ask.message": "O que aconteceu?", "ask.send": "Perguntar",
    "list.title": "Execuções", "list.pages": "Páginas da lista", "list.newest": "Mais recentes", "list.older": "Mais antigas",
    "list.loading": "Carregando…", "list.none": "Nenhuma execução com estes filtros.",
    "list.go_on": "Nenhuma nesta parte da lista; veja as mais antigas.",
    "list.count": { one: "{n} execução, às {time}", other: "{n} execuções, às {time}" },
    "list.more_jobs": { one: "e mais {n} job", other: "e mais {n} jobs" },
    "filter.state": "Estado", "filter.outcome": "Resultado", "filter.since": "Período", "filter.job": "Job",
    "filter.instance": "Instância", "filter.apply": "Filtrar", "filter.refresh": "Atualizar", "filter.any": "todos",
    "since.1h": "última hora", "since.24h": "últimas 24 horas", "since.7d": "últimos 7 dias", "since.30d": "últimos 30 dias",
    "column.run": "Execução", "column.result": "Resultado", "column.submitted": "Enviada em", "column.instance": "Instância",
    "column.user": "Usuário", "column.duration": "Duração", "column.source": "Fonte", "column.finding": "O que encontrou",
    "run.back": "Voltar à lista", "run.id": "Identificador", "run.jobs": "Jobs", "run.rerun_of": "Repetição de",
    "run.cancel": "Cancelar", "run.rerun": "Repetir o que falhou", "run.rerun_all": "Repetir tudo",
    "run.sources": "Fontes", "run.answer": "Resposta", "run.evidence": { one: "{n} evidência", other: "{n} evidências" },
    "run.jobs_done": { one: "{done} de {n} job", other: "{done} de {n} jobs" },
    "run.progress": { one: "{done} de {n} fonte respondeu", other: "{done} de {n} fontes responderam" },
    "run.gone": "Sem conexão com o servidor; reconectando…", "run.again": "Conexão restabelecida.",
    "state.open": "em andamento", "state.accepted": "aceita", "state.dispatching": "em distribuição",
    "state.dispatched": "consultando as fontes", "state.synthesis": "escrevendo a resposta", "state.done": "concluída",
    "state.cancelled": "cancelada",
    "outcome.complete": "completa", "outcome.partial": "parcial", "outcome.failed": "falhou",
    "outcome.timed_out": "tempo esgotado", "outcome.cancelled": "cancelada",
    "source.planned": "planejada", "source.started": "consultando…", "source.ok": "ok", "source.no_data": "sem dados",
    "source.timeout": "tempo esgotado", "source.error": "erro", "source.not_started": "não iniciada",
    "source.lost": "perdida", "source.late": "atrasada",
    "problem.network": "O servidor não responde. Verifique a conexão e tente de novo.",
    "problem.unknown": "O servidor respondeu com o erro {status}.",
    "problem.401": "É preciso fazer login: recarregue a página e informe usuário e senha.",
    "problem.403": "Acesso negado: sem identificação de usuários, só a própria máquina é atendida.",
    "problem.404": "Esta execução não existe, expirou ou pertence a outro usuário.",
    "problem.409": "Conflito: o pedido não combina com o estado atual, ou o identificador é de outra pergunta.",
    "problem.413": "A pergunta é longa demais.", "problem.422": "O pedido não foi aceito: um campo está errado.",
    "problem.429": "Pedidos demais no momento.", "problem.501": "A execução foi gravada por uma versão que não pode ser lida aqui.",
    "problem.503": "O armazenamento (Redis) não responde, ou não há conexões livres.",
    "problem.retry": { one: "Tente de novo em {n} segundo.", other: "Tente de novo em {n} segundos." },
    "problem.detail": "Detalhe do servidor:",
  },
  en: {
    skip: "Skip to the content", title: "Resync diagnoses", language: "Language",
    "ask.title": "New question", "ask.message": "What happened?", "ask.send": "Ask",
    "list.title": "Runs", "list.pages": "Pages of the list", "list.newest": "Newest", "list.older": "Older",
    "list.loading": "Loading…", "list.none": "No runs match these filters.",
    "list.go_on": "None in this part of the list; see the older ones.",
    "list.count": { one: "{n} run, at {time}", other: "{n} runs, at {time}" },
    "list.more_jobs": { one: "and {n} more job", other: "and {n} more jobs" },
    "filter.state": "State", "filter.outcome": "Outcome", "filter.since": "Period", "filter.job": "Job",
    "filter.instance": "Instance", "filter.apply": "Filter", "filter.refresh": "Refresh", "filter.any": "all",
    "since.1h": "last hour", "since.24h": "last 24 hours", "since.7d": "last 7 days", "since.30d": "last 30 days",
    "column.run": "Run", "column.result": "Result", "column.submitted": "Submitted", "column.instance": "Instance",
    "column.user": "User", "column.duration": "Duration", "column.source": "Source", "column.finding": "Finding",
    "run.back": "Back to the list", "run.id": "Id", "run.jobs": "Jobs", "run.rerun_of": "Rerun of",
    "run.cancel": "Cancel", "run.rerun": "Rerun what failed", "run.rerun_all": "Rerun everything",
    "run.sources": "Sources", "run.answer": "Answer", "run.evidence": { one: "{n} piece of evidence", other: "{n} pieces of evidence" },
    "run.jobs_done": { one: "{done} of {n} job", other: "{done} of {n} jobs" },
    "run.progress": { one: "{done} of {n} source answered", other: "{done} of {n} sources answered" },
    "run.gone": "No connection to the server; reconnecting…", "run.again": "Connected again.",
    "state.open": "open", "state.accepted": "accepted", "state.dispatching": "dispatching",
    "state.dispatched": "asking the sources", "state.synthesis": "writing the answer", "state.done": "done",
    "state.cancelled": "cancelled",
    "outcome.complete": "complete", "outcome.partial": "partial", "outcome.failed": "failed",
    "outcome.timed_out": "timed out", "outcome.cancelled": "cancelled",
    "source.planned": "planned", "source.started": "asking…", "source.ok": "ok", "source.no_data": "no data",
    "source.timeout": "timed out", "source.error": "error", "source.not_started": "not started",
    "source.lost": "lost", "source.late": "late",
    "problem.network": "The server does not answer. Check the connection and try again.",
    "problem.unknown": "The server answered with error {status}.",
    "problem.401": "Log in first: reload the page and give user and password.",
    "problem.403": "Access denied: where users are not identified, only the server's own machine is served.",
    "problem.404": "This run does not exist, has expired or belongs to another user.",
    "problem.409": "Conflict: the request does not fit the present state, or the id is that of another question.",
    "problem.413": "The question is too long.", "problem.422": "The request was not accepted: a field is wrong.",
    "problem.429": "Too many requests at the moment.", "problem.501": "The run was written by a version that is not read here.",
    "problem.503": "The store (Redis) does not answer, or no connection is free.",
    "problem.retry": { one: "Try again in {n} second.", other: "Try again in {n} seconds." },
    "problem.detail": "Detail from the server:",
  },
  es: {
    skip: "Ir al contenido", title: "Diagnósticos de Resync", language: "Idioma",
    "ask.title": "Nueva pregunta", "ask.message": "¿Qué ocurrió?", "ask.send": "Preguntar",
    "list.title": "Ejecuciones", "list.pages": "Páginas de la lista", "list.newest": "Más recientes", "list.older": "Más antiguas",
    "list.loading": "Cargando…", "list.none": "Ninguna ejecución con estos filtros.",
    "list.go_on": "Ninguna en esta parte de la lista; vea las más antiguas.",
    "list.count": { one: "{n} ejecución, a las {time}", other: "{n} ejecuciones, a las {time}" },
    "list.more_jobs": { one: "y {n} job más", other: "y {n} jobs más" },
    "filter.state": "Estado", "filter.outcome": "Resultado", "filter.since": "Período", "filter.job": "Job",
    "filter.instance": "Instancia", "filter.apply": "Filtrar", "filter.refresh": "Actualizar", "filter.any": "todos",
    "since.1h": "última hora", "since.24h": "últimas 24 horas", "since.7d": "últimos 7 días", "since.30d": "últimos 30 días",
    "column.run": "Ejecución", "column.result": "Resultado", "column.submitted": "Enviada el", "column.instance": "Instancia",
    "column.user": "Usuario", "column.duration": "Duración", "column.source": "Fuente", "column.finding": "Qué encontró",
    "run.back": "Volver a la lista", "run.id": "Identificador", "run.jobs": "Jobs", "run.rerun_of": "Repetición de",
    "run.cancel": "Cancelar", "run.rerun": "Repetir lo que falló", "run.rerun_all": "Repetir todo",
    "run.sources": "Fuentes", "run.answer": "Respuesta", "run.evidence": { one: "{n} evidencia", other: "{n} evidencias" },
    "run.jobs_done": { one: "{done} de {n} job", other: "{done} de {n} jobs" },
    "run.progress": { one: "{done} de {n} fuente respondió", other: "{done} de {n} fuentes respondieron" },
    "run.gone": "Sin conexión con el servidor; reconectando…", "run.again": "Conexión restablecida.",
    "state.open": "en curso", "state.accepted": "aceptada", "state.dispatching": "en distribución",
    "state.dispatched": "consultando las fuentes", "state.synthesis": "escribiendo la respuesta", "state.done": "concluida",
    "state.cancelled": "cancelada",
    "outcome.complete": "completa", "outcome.partial": "parcial", "outcome.failed": "falló",
    "outcome.timed_out": "tiempo agotado", "outcome.cancelled": "cancelada",
    "source.planned": "planificada", "source.started": "consultando…", "source.ok": "ok", "source.no_data": "sin datos",
    "source.timeout": "tiempo agotado", "source.error": "error", "source.not_started": "no iniciada",
    "source.lost": "perdida", "source.late": "atrasada",
    "problem.network": "El servidor no responde. Compruebe la conexión e inténtelo de nuevo.",
    "problem.unknown": "El servidor respondió con el error {status}.",
    "problem.401": "Hay que iniciar sesión: recargue la página e indique usuario y contraseña.",
    "problem.403": "Acceso denegado: sin identificación de usuarios solo se atiende a la propia máquina.",
    "problem.404": "Esta ejecución no existe, ha caducado o pertenece a otro usuario.",
    "problem.409": "Conflicto: la petición no encaja con el estado actual, o el identificador es de otra pregunta.",
    "problem.413": "La pregunta es demasiado larga.", "problem.422": "La petición no se aceptó: un campo es incorrecto.",
    "problem.429": "Demasiadas peticiones en este momento.", "problem.501": "La ejecución fue escrita por una versión que aquí no se puede leer.",
    "problem.503": "El almacén (Redis) no responde, o no hay conexiones libres.",
    "problem.retry": { one: "Inténtelo de nuevo en {n} segundo.", other: "Inténtelo de nuevo en {n} segundos." },
    "problem.detail": "Detalle del servidor:",
  },
};

const tags = { pt: "pt-BR", en: "en", es: "es" };
const stored = "resync.language";
let language = first();

function first() {
  const wanted = [localStorage.getItem(stored), ...navigator.languages].map((tag) => (tag || "").slice(0, 2).toLowerCase());
  return wanted.find((tag) => tag in tags) || "pt";
}

export const current = () => language;
const tag = () => tags[language];
const number = (value) => new Intl.NumberFormat(tag()).format(value);

/** The text of this name with its values; `n` chooses the form of the plural. */
export function t(name, values = {}) {
  let text = texts[language][name];
  if (typeof text === "object") text = text[new Intl.PluralRules(tag()).select(values.n)] || text.other;
  return text.replace(/\{(\w+)\}/g, (_, key) => (typeof values[key] === "number" ? number(values[key]) : values[key]));
}

/** The word for a value of a kind (`outcome`, ...); one that a newer server sends stands as it is. */
export const word = (kind, value) => (Object.hasOwn(texts[language], `${kind}.${value}`) ? t(`${kind}.${value}`) : String(value));

export const date = (ms) => new Intl.DateTimeFormat(tag(), { dateStyle: "short", timeStyle: "medium" }).format(ms);
export const time = (ms) => new Intl.DateTimeFormat(tag(), { timeStyle: "medium" }).format(ms);

export function duration(ms) {
  if (typeof ms !== "number") return "";
  const [value, unit, digits] = ms < 1000 ? [ms, "millisecond", 0] : [ms / 1000, "second", 1];
  return new Intl.NumberFormat(tag(), { style: "unit", unit, maximumFractionDigits: digits }).format(value);
}

/** Choose a language, and write the texts of the document in it. */
export function speak(chosen = language) {
  if (chosen !== language) localStorage.setItem(stored, chosen);
  language = chosen;
  document.documentElement.lang = tag();
  for (const each of document.querySelectorAll("[data-text]")) each.textContent = t(each.dataset.text);
  for (const each of document.querySelectorAll("[data-label]")) each.setAttribute("aria-label", t(each.dataset.label));
}
