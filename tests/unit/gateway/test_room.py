"""What uploads hold at one time is bounded, and comes back whatever becomes of them."""

from __future__ import annotations

import pytest

from ragmesh.core.errors import ExhaustedError, InvalidError
from ragmesh.gateway.room import UploadRoom


def test_what_does_not_fit_is_refused_until_another_has_left() -> None:
    room = UploadRoom(10)
    with room.share(6):
        with pytest.raises(ExhaustedError) as caught, room.share(5):
            pass
        assert caught.value.retry_after_seconds == 1.0
        with room.share(4):
            pass
    with room.share(10):
        pass


def test_a_share_grows_with_what_has_come_and_never_counts_twice() -> None:
    room = UploadRoom(10)
    with room.share(4) as first:
        first.grow_to(3)
        first.grow_to(8)
        with room.share() as second:
            with pytest.raises(ExhaustedError):
                second.grow_to(3)
            second.grow_to(2)


def test_an_upload_that_fails_gives_its_room_back() -> None:
    room = UploadRoom(10)
    with pytest.raises(InvalidError), room.share(10):
        raise InvalidError("no upload")
    with room.share(10):
        pass
