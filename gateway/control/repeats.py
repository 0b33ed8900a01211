"""Acts that are sent again since their answer was lost: each is carried out once, and answered alike each time."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from gateway.control.answers import ActAnswer

MOST = 1000
_Key = tuple[str, str]  # the account, and the key that it gave the act


class Repeats:
    """The answers to the last MOST acts that had a key, lost by a restart."""

    def __init__(self) -> None:
        self._answers: OrderedDict[_Key, ActAnswer] = OrderedDict()
        self._one_at_a_time = asyncio.Lock()  # a repeat waits for the first one

    async def once(self, login: str, key: str, act: Callable[[], Awaitable[ActAnswer]]) -> ActAnswer:
        """The answer to the act of that key; whatever it raises is raised, and the act may be tried again."""
        async with self._one_at_a_time:
            if (known := self._answers.get((login, key))) is not None:
                return known
            answer = await act()
            self._answers[login, key] = answer
            if len(self._answers) > MOST:
                self._answers.popitem(last=False)
            return answer
