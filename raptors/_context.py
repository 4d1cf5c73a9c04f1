"""What the settings that a context may choose for itself have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


class Choice:
    """A choice for this context, made by the constructor; as a context manager, until the block ends."""

    __slots__ = ("_token",)
    _leave: ClassVar[Any]  # takes the token
    _token: Any

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave(self._token)
