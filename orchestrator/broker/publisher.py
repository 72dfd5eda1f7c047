"""Publishing the tasks that start outside a chord: dispatch a run, finish a run."""

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from orchestrator.broker.app import RUN_TASK, SYNTHESIZE_TASK
from orchestrator.errors import StoreUnreachable
from orchestrator.i18n.message import Message
from orchestrator.store.connection import broker_failure
from orchestrator.tracing import headers

PUBLISH_TIMEOUT_SECONDS = 0.8


class Publisher:
    """Publishes in threads of its own, so that a broker that hangs blocks a caller for 0.8 s at most."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._executor = ThreadPoolExecutor(max_workers=4, thread_name_prefix="publish")

    def publish_run(self, run_id: str) -> None:
        """Publish ``troubleshoot.run``. The id of the task is that of the run, by which Flower finds it.

        Raises StoreUnreachable.
        """
        self._publish(RUN_TASK, run_id, task_id=run_id)

    def publish_synthesis(self, run_id: str) -> None:
        """Publish ``troubleshoot.synthesize``.

        Raises StoreUnreachable.
        """
        self._publish(SYNTHESIZE_TASK, run_id, task_id=None)

    def close(self) -> None:
        """Stop the threads and close the connections."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._app.close()

    def _send(self, task: str, run_id: str, task_id: str | None) -> None:
        options = {"task_id": task_id, "root_id": run_id, "retry": False, "ignore_result": True, "headers": headers()}
        try:
            self._app.send_task(task, args=(run_id,), **options)
        except OperationalError:
            # Once more: the connection of the pool may lead to a Redis that a failover has made a replica. A run that
            # is published twice is dispatched once.
            self._app.send_task(task, args=(run_id,), **options)

    def _publish(self, task: str, run_id: str, *, task_id: str | None) -> None:
        # Imports what sends, before the time counts: on a busy machine it takes as long as the broker may.
        _ = self._app.amqp
        future = self._executor.submit(copy_context().run, self._send, task, run_id, task_id)
        try:
            future.result(PUBLISH_TIMEOUT_SECONDS)
        except TimeoutError:
            future.cancel()
            raise StoreUnreachable("the broker does not answer; is Redis running, and is REDIS_URL right?") from None
        except (OperationalError, RedisError, OSError) as error:
            raise broker_failure(Message("the broker refused the message ({detail})"), error) from error
