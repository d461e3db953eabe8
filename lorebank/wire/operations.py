"""Operations, deletions, version and health."""

from typing import Any, Literal

from pydantic import Field

from lorebank.wire.fields import Page, ResponseModel

OperationStatus = Literal["pending", "processing", "completed", "failed", "cancelled"]
OperationState = OperationStatus | Literal["not_found"]


class OperationProgress(ResponseModel):
    """The last known progress of an operation."""

    stage: str
    at: str
    processed: int | None = None
    total: int | None = None
    detail: dict[str, int] | None = None


class OperationResponse(ResponseModel):
    """One operation of the listing; `error_message` is always present, null when nothing failed."""

    id: str
    task_type: str
    operation_id: str | None = None
    operation_type: str | None = None
    items_count: int
    document_id: str | None = None
    created_at: str
    updated_at: str | None = None
    status: str
    error_message: str | None
    retry_count: int | None = None
    next_retry_at: str | None = None
    progress: OperationProgress | None = None


class OperationsListResponse(Page):
    """One page of operations."""

    bank_id: str
    operations: list[OperationResponse]


class ChildOperationStatus(ResponseModel):
    """One part of an operation that was split."""

    operation_id: str
    status: str
    sub_batch_index: int | None = None
    items_count: int | None = None
    error_message: str | None = None


class OperationStatusResponse(ResponseModel):
    """One operation; status `not_found` for an id nobody used."""

    operation_id: str
    status: OperationState
    operation_type: str | None = None
    id: str | None = None
    task_type: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    completed_at: str | None = None
    error_message: str | None = None
    retry_count: int | None = None
    next_retry_at: str | None = None
    progress: OperationProgress | None = None
    result_metadata: dict[str, Any] | None = None
    child_operations: list[ChildOperationStatus] | None = None


class CancelOperationResponse(ResponseModel):
    """A pending operation will not run."""

    success: bool
    message: str
    operation_id: str


class RetryOperationResponse(ResponseModel):
    """A failed or cancelled operation is pending again."""

    success: bool
    message: str
    operation_id: str


class DeleteResponse(ResponseModel):
    """Answer of the deletions that have no answer of their own."""

    success: bool
    message: str | None = None
    deleted_count: int | None = None


class DeleteTenantResponse(DeleteResponse):
    """Answer of a deletion of a tenant's banks; those that are left are deleted by the next request."""

    deleted_banks: int
    left: int


class FeaturesInfo(ResponseModel):
    """Which optional parts this server has; every flag is required by the official clients."""

    observations: bool
    mcp: bool
    worker: bool
    bank_config_api: bool
    bank_llm_health: bool
    file_upload_api: bool
    document_export_api: bool
    document_import_api: bool
    audit_log: bool
    llm_trace: bool
    store_document_text: bool


class VersionResponse(ResponseModel):
    """Version of the wire contract (`api_version`) and, ours, of the server and its stored layout."""

    api_version: str
    features: FeaturesInfo
    version: str | None = None
    schema_version: int | None = None


class LivenessResponse(ResponseModel):
    """Answer of /health/live."""

    status: str
    version: str
    uptime_seconds: float


class HealthResponse(ResponseModel):
    """Answer of /health and /health/ready: `healthy`, or what is not, part by part."""

    status: str
    checks: dict[str, str] = Field(default_factory=dict)
    version: str | None = None
