"""The CostCalculator lab of examples/, for `cognito-verify demo`: an installed wheel has a copy beside this file."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from cognito_verify.errors import ConfigurationError

__all__ = ["load_lab"]

# Where the wheel has the files (pyproject.toml, force-include), and where a clone has them.
_PLACES = (Path(__file__).parent / "examples", Path(__file__).parents[2] / "examples")
_EXTRA = ("boto3", "botocore", "flask", "flask_cors", "moto", "werkzeug")  # what the lab imports of the extra


def load_lab() -> Any:
    """The module `examples.cost_calculator.lab`, loaded anew, whoever else has something called `examples`.

    Raises:
        ConfigurationError: moto's server or boto3 is missing.
    """
    others = _taken_out()
    package = ModuleType("examples")
    package.__path__ = [str(place) for place in _PLACES]
    sys.modules["examples"] = package
    try:
        return import_module("examples.cost_calculator.lab")
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] not in _EXTRA:
            raise
        raise ConfigurationError(f"demo: needs {error.name}: pip install 'cognito-verify[demo]'") from None
    finally:
        _taken_out()
        sys.modules.update(others)


def _taken_out() -> dict[str, ModuleType]:
    """What goes by the name of `examples`, no longer where imports look."""
    names = [name for name in sys.modules if name.partition(".")[0] == "examples"]
    return {name: sys.modules.pop(name) for name in names}
