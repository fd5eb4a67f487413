"""Web: the HTTP door on one machine: FastAPI routers, and the one place where adapters meet the pipeline."""
