"""A handler of the Resync app on this package: ``python examples/adoption.py "Job BATCH001 falhou com ABEND S0C7"``.

Nothing is patched: the names come from ``orchestrator.langgraph`` instead of ``resync.core.langgraph``. ``REDIS_URL``
is where the workers are; without any, the sources are asked in this process.
"""

import asyncio
import sys
from typing import Any

from orchestrator.langgraph import create_tws_agent_graph, parallel_troubleshoot


async def troubleshoot_handler(state: dict[str, Any]) -> dict[str, Any]:
    """Answer a state that the app's router has classified."""
    entities = state.get("entities") or {}
    result = await parallel_troubleshoot(
        message=state["message"],
        job_name=entities.get("job_name"),
        tws_instance_id=state.get("tws_instance_id"),
    )
    metadata = {**state.get("metadata", {}), "speedup_factor": result["metadata"]["speedup_factor"]}
    return {**state, "response": result["response"], "errors": result["errors"], "metadata": metadata}


async def agent(message: str) -> None:
    """The same through a graph, whose router decides which sources are asked."""
    graph = await create_tws_agent_graph()
    result = await graph.invoke({"message": message, "intent": "troubleshoot"})
    for source in result["parallel_results"]:
        print(f"{source['source']:<12}{source['latency_ms']:8.0f} ms  {source['error'] or 'ok'}")
    print(f"speed-up {result['metadata']['speedup_factor']:.2f}x\n")
    print(result["response"])


def main() -> None:
    """Ask the question of the command line both ways."""
    message = " ".join(sys.argv[1:]) or "Job BATCH001 falhou com ABEND S0C7"
    state = asyncio.run(troubleshoot_handler({"message": message, "entities": {"job_name": "BATCH001"}}))
    print(f"handler: {len(state['errors'])} errors, speed-up {state['metadata']['speedup_factor']:.2f}x\n")
    asyncio.run(agent(message))


if __name__ == "__main__":
    main()
