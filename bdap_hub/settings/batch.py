"""The pool of machines that batch jobs are handed over to."""

from __future__ import annotations

from pydantic import Field

from .section import Section


class BatchSettings(Section):
    """The HTCondor pool that takes over batch jobs (`processing.jobs.runner`); its token is a secret."""

    collector: str = Field("", description="Address of the pool's central manager, such as condor.example.org:9618.")
    schedd: str = Field("", description="Name of the schedd that keeps the queue; empty: the only one of the pool.")
    domain: str = Field("", description="FILESYSTEM_DOMAIN of the machines that have the store.")
    python: str = Field(
        "",
        description="Python on these machines, with the platform's packages; empty: at the path of the service's own.",
    )
    requirements: str = Field(
        "", description="What a machine must offer besides: a ClassAd expression, such as EOSisRunning."
    )
    extra_memory_mb: int = Field(
        512, ge=0, description="What a job asks for beyond `processing.jobs.memory_mb`: for code and libraries."
    )
    lost_seconds: int = Field(
        1200, ge=10, description="A machine that is silent so long is given up; its job starts again on another."
    )
    answer_seconds: float = Field(
        20, gt=0, le=30, description="The pool is taken for away if it has not answered after so many seconds."
    )
