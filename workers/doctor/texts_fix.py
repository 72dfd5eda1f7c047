"""How to repair the system itself and the way to TWS, in English, Portuguese and Spanish, in that order."""

from __future__ import annotations

FIXES: dict[str, tuple[str, str, str]] = {
    "fix.timeout": (
        "Try --timeout 10; if that does not help, look at the counterpart.",
        "Tente --timeout 10; se não ajudar, verifique o outro lado.",
        "Pruebe --timeout 10; si no ayuda, revise el otro lado.",
    ),
    "fix.unexpected": (
        "Run it again with --json and report what the facts of this check say.",
        "Execute de novo com --json e relate o que dizem os facts deste item.",
        "Ejecute de nuevo con --json e informe de lo que dicen los facts de este ítem.",
    ),
    "fix.as_named": ("Correct what is named.", "Corrija o que é citado.", "Corrija lo que se cita."),
    "fix.configuration": (
        "Correct the variable that is named.",
        "Corrija a variável citada.",
        "Corrija la variable citada.",
    ),
    # redis
    "fix.redis_unreachable": (
        "Start Redis, or correct REDIS_URL (or --redis-url).",
        "Inicie o Redis ou corrija REDIS_URL (ou --redis-url).",
        "Inicie Redis o corrija REDIS_URL (o --redis-url).",
    ),
    "fix.redis_info": (
        "Allow the user of REDIS_URL the command INFO (ACL: +info).",
        "Permita ao usuário de REDIS_URL o comando INFO (ACL: +info).",
        "Permita al usuario de REDIS_URL el comando INFO (ACL: +info).",
    ),
    "fix.redis_policy": (
        "Set it with: redis-cli CONFIG SET maxmemory-policy noeviction, and in redis.conf.",
        "Defina com: redis-cli CONFIG SET maxmemory-policy noeviction, e também no redis.conf.",
        "Defínalo con: redis-cli CONFIG SET maxmemory-policy noeviction, y también en redis.conf.",
    ),
    "fix.redis_replica": (
        "Let REDIS_URL name the primary.",
        "Aponte REDIS_URL para o primário.",
        "Apunte REDIS_URL al primario.",
    ),
    "fix.redis_cluster": (
        "Let REDIS_URL name a Redis that is not a cluster.",
        "Aponte REDIS_URL para um Redis que não seja cluster.",
        "Apunte REDIS_URL a un Redis que no sea un clúster.",
    ),
    "fix.redis_save": (
        "Free space on the disk of Redis, then run: redis-cli BGSAVE.",
        "Libere espaço no disco do Redis e execute: redis-cli BGSAVE.",
        "Libere espacio en el disco de Redis y ejecute: redis-cli BGSAVE.",
    ),
    "fix.redis_full": (
        "Raise maxmemory, or lower RESYNC_RUN_TTL_SECONDS.",
        "Aumente maxmemory ou reduza RESYNC_RUN_TTL_SECONDS.",
        "Aumente maxmemory o reduzca RESYNC_RUN_TTL_SECONDS.",
    ),
    "fix.redis_clients": (
        "Raise maxclients of Redis.",
        "Aumente maxclients do Redis.",
        "Aumente maxclients de Redis.",
    ),
    "fix.redis_old": (
        "Use Redis 6.2 or newer.",
        "Use o Redis 6.2 ou mais novo.",
        "Use Redis 6.2 o posterior.",
    ),
    # keys
    "fix.key_prefix": (
        "Give RESYNC_KEY_PREFIX a prefix of its own, such as resync:troubleshoot:, in every process.",
        "Dê a RESYNC_KEY_PREFIX um prefixo próprio, como resync:troubleshoot:, em todos os processos.",
        "Dé a RESYNC_KEY_PREFIX un prefijo propio, como resync:troubleshoot:, en todos los procesos.",
    ),
    "fix.bare_broker": (
        "Set global_keyprefix there (Flower: start it with celery -A workers.app flower), then delete that key.",
        "Defina global_keyprefix nele (Flower: inicie com celery -A workers.app flower) e apague essa chave.",
        "Defina global_keyprefix en él (Flower: inícielo con celery -A workers.app flower) y borre esa clave.",
    ),
    # workers, queues, watchers
    "fix.workers_all": (
        "Start one: resync-troubleshoot worker --all, with the same REDIS_URL and RESYNC_KEY_PREFIX.",
        "Inicie um: resync-troubleshoot worker --all, com os mesmos REDIS_URL e RESYNC_KEY_PREFIX.",
        "Inicie uno: resync-troubleshoot worker --all, con los mismos REDIS_URL y RESYNC_KEY_PREFIX.",
    ),
    "fix.workers": (
        "Start one: resync-troubleshoot worker {queues}",
        "Inicie um: resync-troubleshoot worker {queues}",
        "Inicie uno: resync-troubleshoot worker {queues}",
    ),
    "fix.queues": (
        "Start more workers: resync-troubleshoot worker {queues} --name NAME",
        "Inicie mais workers: resync-troubleshoot worker {queues} --name NAME",
        "Inicie más workers: resync-troubleshoot worker {queues} --name NAME",
    ),
    "fix.open_runs": (
        "Start more workers, or raise RESYNC_MAX_OPEN_RUNS.",
        "Inicie mais workers ou aumente RESYNC_MAX_OPEN_RUNS.",
        "Inicie más workers o aumente RESYNC_MAX_OPEN_RUNS.",
    ),
    "fix.watchers": (
        "Start one more: python -m orchestrator.watcher",
        "Inicie mais um: python -m orchestrator.watcher",
        "Inicie uno más: python -m orchestrator.watcher",
    ),
    "fix.watchers_late": (
        "Look at the watchers' log; they must reach the Redis of REDIS_URL with this RESYNC_KEY_PREFIX.",
        "Veja o log dos vigias; eles precisam alcançar o Redis de REDIS_URL com este RESYNC_KEY_PREFIX.",
        "Vea el registro de los vigilantes; deben llegar al Redis de REDIS_URL con este RESYNC_KEY_PREFIX.",
    ),
    "fix.instances_none": (
        "Start a worker of tws_status with TWS_BASE_URL or TWS_INSTANCES_FILE set.",
        "Inicie um worker de tws_status com TWS_BASE_URL ou TWS_INSTANCES_FILE definido.",
        "Inicie un worker de tws_status con TWS_BASE_URL o TWS_INSTANCES_FILE definido.",
    ),
    "fix.instances": (
        "Give the tws_status workers the same TWS_INSTANCES_FILE or TWS_* variables and restart them.",
        "Dê aos workers de tws_status o mesmo TWS_INSTANCES_FILE ou as mesmas variáveis TWS_* e reinicie-os.",
        "Dé a los workers de tws_status el mismo TWS_INSTANCES_FILE o las mismas variables TWS_* y reinícielos.",
    ),
    # tws
    "fix.tws_none": (
        "Set TWS_BASE_URL, TWS_USER and TWS_PASSWORD, or TWS_INSTANCES_FILE for several.",
        "Defina TWS_BASE_URL, TWS_USER e TWS_PASSWORD, ou TWS_INSTANCES_FILE para várias.",
        "Defina TWS_BASE_URL, TWS_USER y TWS_PASSWORD, o TWS_INSTANCES_FILE para varias.",
    ),
    "fix.tws_empty": (
        "Give the user DISPLAY and LIST access to jobs in the security file, or check that the plan was extended.",
        "Dê ao usuário acesso DISPLAY e LIST aos jobs no arquivo de segurança, ou verifique se o plano foi estendido.",
        "Dé al usuario DISPLAY y LIST sobre los jobs en el archivo de seguridad, o compruebe si el plan se extendió.",
    ),
    "fix.tws_unverified": (
        "Let {verify} name the file of the CA's certificates.",
        "Aponte {verify} para o arquivo com os certificados da CA.",
        "Apunte {verify} al archivo con los certificados de la CA.",
    ),
    "fix.tws_unauthorized_user": (
        "Check {user} and {password}; the account may also be locked or expired.",
        "Verifique {user} e {password}; a conta também pode estar bloqueada ou vencida.",
        "Compruebe {user} y {password}; la cuenta también puede estar bloqueada o caducada.",
    ),
    "fix.tws_unauthorized_token": (
        "Put a valid token into {token}; it may have expired.",
        "Ponha um token válido em {token}; ele pode ter vencido.",
        "Ponga un token válido en {token}; puede haber caducado.",
    ),
    "fix.tws_unauthorized_header": (
        "Set {user} and {password}: the header alone was not enough.",
        "Defina {user} e {password}: só o cabeçalho não bastou.",
        "Defina {user} y {password}: la cabecera sola no bastó.",
    ),
    "fix.tws_unauthorized_nobody": (
        "Set {user} and {password}, or {token}.",
        "Defina {user} e {password}, ou {token}.",
        "Defina {user} y {password}, o {token}.",
    ),
    "fix.tws_forbidden": (
        "Give the user of {user} DISPLAY and LIST access in the security file of TWS.",
        "Dê ao usuário de {user} acesso DISPLAY e LIST no arquivo de segurança do TWS.",
        "Dé al usuario de {user} acceso DISPLAY y LIST en el archivo de seguridad de TWS.",
    ),
    "fix.tws_tls": (
        "Let {verify} name the file of the CA's certificates, or correct the host name in {base_url}.",
        "Aponte {verify} para o arquivo com os certificados da CA, ou corrija o nome do servidor em {base_url}.",
        "Apunte {verify} al archivo con los certificados de la CA, o corrija el nombre del servidor en {base_url}.",
    ),
    "fix.tws_timeout": (
        "Check the way to the host of {base_url} (firewall) and the load of the TWS server.",
        "Verifique o caminho até o servidor de {base_url} (firewall) e a carga do servidor TWS.",
        "Compruebe el camino hasta el servidor de {base_url} (cortafuegos) y la carga del servidor TWS.",
    ),
    "fix.tws_unreachable": (
        "Correct {base_url} (or TWS_HOST and TWS_PORT), or start the TWS server.",
        "Corrija {base_url} (ou TWS_HOST e TWS_PORT), ou inicie o servidor TWS.",
        "Corrija {base_url} (o TWS_HOST y TWS_PORT), o inicie el servidor TWS.",
    ),
    "fix.tws_not_found": (
        "Correct the path in {base_url}: it stands before /twsd/api/v2.",
        "Corrija o caminho em {base_url}: ele vem antes de /twsd/api/v2.",
        "Corrija la ruta en {base_url}: va delante de /twsd/api/v2.",
    ),
    "fix.tws_bad_answer": (
        "Let {base_url} name the TWS server itself, or give the gateway's header with TWS_AUTH_HEADER.",
        "Aponte {base_url} para o próprio servidor TWS, ou dê o cabeçalho do gateway com TWS_AUTH_HEADER.",
        "Apunte {base_url} al propio servidor TWS, o dé la cabecera del gateway con TWS_AUTH_HEADER.",
    ),
    "fix.tws_server_error": (
        "Look at the log of the TWS server.",
        "Veja o log do servidor TWS.",
        "Vea el registro del servidor TWS.",
    ),
    "fix.tws_connection_cut": (
        "Check the proxy or firewall before {base_url}, and whether it wants https.",
        "Verifique o proxy ou firewall antes de {base_url}, e se ele exige https.",
        "Compruebe el proxy o cortafuegos delante de {base_url}, y si exige https.",
    ),
    "fix.tws_rate_limited": (
        "Raise the limit of the gateway before {base_url} for this user.",
        "Aumente o limite do gateway antes de {base_url} para este usuário.",
        "Aumente el límite del gateway delante de {base_url} para este usuario.",
    ),
    "fix.tws_other": (
        "Check {base_url} and the log of the TWS server.",
        "Verifique {base_url} e o log do servidor TWS.",
        "Compruebe {base_url} y el registro del servidor TWS.",
    ),
}
