"""What ``doctor`` finds of the system itself, in English, Portuguese and Spanish, in that order."""

from __future__ import annotations

FOUND: dict[str, tuple[str, str, str]] = {
    "column.check": ("check", "item", "ítem"),
    "column.status": ("status", "situação", "estado"),
    "column.time": ("time", "tempo", "tiempo"),
    "column.found": ("found", "encontrado", "encontrado"),
    "status.ok": ("ok", "ok", "ok"),
    "status.warning": ("warning", "aviso", "aviso"),
    "status.error": ("error", "erro", "error"),
    "status.off": ("off", "inativo", "inactivo"),
    "summary": (
        "{ok} ok, {warning} warning(s), {error} error(s), {off} off",
        "{ok} ok, {warning} aviso(s), {error} erro(s), {off} inativo(s)",
        "{ok} ok, {warning} aviso(s), {error} error(es), {off} inactivo(s)",
    ),
    "any.timeout": (
        "no answer within {seconds:g} s",
        "sem resposta em {seconds:g} s",
        "sin respuesta en {seconds:g} s",
    ),
    "any.unexpected": (
        "the check itself failed ({kind})",
        "a própria verificação falhou ({kind})",
        "la propia verificación falló ({kind})",
    ),
    "any.not_checked": (
        "not checked: see {name}",
        "não verificado: veja {name}",
        "no verificado: vea {name}",
    ),
    # redis
    "redis.unreachable": (
        "no connection to Redis at {where} ({detail})",
        "sem conexão com o Redis em {where} ({detail})",
        "sin conexión con Redis en {where} ({detail})",
    ),
    "redis.not_redis": (
        "{where} answers, but not as Redis does",
        "{where} responde, mas não como o Redis",
        "{where} responde, pero no como Redis",
    ),
    "redis.timeout": (
        "Redis at {where} did not answer within {seconds:g} s (RESYNC_REDIS_TIMEOUT_SECONDS)",
        "o Redis em {where} não respondeu em {seconds:g} s (RESYNC_REDIS_TIMEOUT_SECONDS)",
        "Redis en {where} no respondió en {seconds:g} s (RESYNC_REDIS_TIMEOUT_SECONDS)",
    ),
    "redis.found": (
        "{name} {version} at {where}, answers in {ping_ms:.1f} ms",
        "{name} {version} em {where}, responde em {ping_ms:.1f} ms",
        "{name} {version} en {where}, responde en {ping_ms:.1f} ms",
    ),
    "redis.no_info": (
        "{where} answers, but its user may not run INFO: the settings were not seen",
        "{where} responde, mas o usuário não pode executar INFO: a configuração não foi vista",
        "{where} responde, pero el usuario no puede ejecutar INFO: la configuración no se ha visto",
    ),
    "redis.aof_on": ("AOF on", "AOF ligado", "AOF activado"),
    "redis.aof_off": (
        "AOF off (a restart forgets the open runs)",
        "AOF desligado (um reinício esquece as execuções abertas)",
        "AOF desactivado (un reinicio olvida las ejecuciones abiertas)",
    ),
    "redis.evicts": (
        "maxmemory-policy {policy} evicts keys: messages and runs can be lost",
        "maxmemory-policy {policy} descarta chaves: mensagens e execuções podem se perder",
        "maxmemory-policy {policy} descarta claves: se pueden perder mensajes y ejecuciones",
    ),
    "redis.would_evict": (
        "maxmemory-policy {policy} would evict keys as soon as maxmemory is set",
        "maxmemory-policy {policy} descartaria chaves assim que maxmemory for definido",
        "maxmemory-policy {policy} descartaría claves en cuanto se defina maxmemory",
    ),
    "redis.replica": (
        "this is a replica: it refuses writes",
        "é uma réplica: recusa escritas",
        "es una réplica: rechaza escrituras",
    ),
    "redis.cluster": (
        "Redis Cluster, which Celery's broker cannot use",
        "Redis Cluster, que o broker do Celery não suporta",
        "Redis Cluster, que el broker de Celery no admite",
    ),
    "redis.cannot_save": (
        "Redis could not save to disk and may refuse writes",
        "o Redis não conseguiu gravar em disco e pode recusar escritas",
        "Redis no pudo guardar en disco y puede rechazar escrituras",
    ),
    "redis.full": (
        "memory is {share:.0%} full; at 100% writes are refused",
        "memória {share:.0%} ocupada; em 100% as escritas são recusadas",
        "memoria ocupada al {share:.0%}; al 100% se rechazan las escrituras",
    ),
    "redis.clients": (
        "{clients} of {most} connections in use",
        "{clients} de {most} conexões em uso",
        "{clients} de {most} conexiones en uso",
    ),
    "redis.old": ("this version was not tried", "esta versão não foi testada", "esta versión no se ha probado"),
    # keys
    "keys.found": (
        "{total} keys below {prefix} (runs {runs}, broker {broker}, logs {logs}, indexes {index}, other {other})",
        "{total} chaves sob {prefix} (execuções {runs}, broker {broker}, logs {logs}, índices {index}, outras {other})",
        "{total} claves bajo {prefix} (runs {runs}, broker {broker}, logs {logs}, índices {index}, otras {other})",
    ),
    "keys.partly": (
        "there was no time to see all keys",
        "não houve tempo de ver todas as chaves",
        "no hubo tiempo de ver todas las claves",
    ),
    "keys.broker": (
        "broker below {prefix}, {queues} queues declared",
        "broker sob {prefix}, {queues} filas declaradas",
        "broker bajo {prefix}, {queues} colas declaradas",
    ),
    "keys.shared": (
        "the prefix {prefix!r} also covers the app's own keys",
        "o prefixo {prefix!r} também cobre as chaves do próprio app",
        "el prefijo {prefix!r} también cubre las claves de la propia app",
    ),
    "keys.bare": (
        "a process uses the broker without the prefix (key {name})",
        "um processo usa o broker sem o prefixo (chave {name})",
        "un proceso usa el broker sin el prefijo (clave {name})",
    ),
    # workers
    "workers.all": (
        "each of the {queues} queues has a worker",
        "cada uma das {queues} filas tem um worker",
        "cada una de las {queues} colas tiene un worker",
    ),
    "workers.missing": ("no worker for {queues}", "sem worker para {queues}", "sin worker para {queues}"),
    "workers.none": (
        "no worker answered within {seconds:g} s",
        "nenhum worker respondeu em {seconds:g} s",
        "ningún worker respondió en {seconds:g} s",
    ),
    # queues
    "queues.found": (
        "{waiting} messages waiting; {runs} of at most {most} runs open",
        "{waiting} mensagens esperando; {runs} de no máximo {most} execuções abertas",
        "{waiting} mensajes en espera; {runs} de un máximo de {most} ejecuciones abiertas",
    ),
    "queues.stuck": (
        "not getting shorter: {queues}",
        "não diminui: {queues}",
        "no disminuye: {queues}",
    ),
    "queues.runs": (
        "new runs will soon be refused",
        "novas execuções logo serão recusadas",
        "pronto se rechazarán nuevas ejecuciones",
    ),
    # watchers
    "watchers.none": (
        "no watcher is alive: a run may miss its deadline",
        "nenhum vigia ativo: uma execução pode perder o prazo",
        "ningún vigilante activo: una ejecución puede pasarse de su plazo",
    ),
    "watchers.one": (
        "only one watcher is alive ({name}); two are recommended",
        "só um vigia ativo ({name}); recomendam-se dois",
        "solo un vigilante activo ({name}); se recomiendan dos",
    ),
    "watchers.found": (
        "{count} watchers alive: {names}",
        "{count} vigias ativos: {names}",
        "{count} vigilantes activos: {names}",
    ),
    "watchers.late": (
        "{count} wake-ups are overdue",
        "{count} despertares estão atrasados",
        "{count} avisos están atrasados",
    ),
    # instances
    "instances.none": (
        "no worker has announced a TWS instance",
        "nenhum worker anunciou uma instância do TWS",
        "ningún worker ha anunciado una instancia de TWS",
    ),
    "instances.found": (
        "known to the workers: {names}",
        "conhecidas pelos workers: {names}",
        "conocidas por los workers: {names}",
    ),
    "instances.unknown": (
        "configured here and unknown to them: {names}",
        "configuradas aqui e desconhecidas por eles: {names}",
        "configuradas aquí y desconocidas por ellos: {names}",
    ),
}
