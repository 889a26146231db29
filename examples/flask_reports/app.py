"""Reports that registered users may read, and figures for the group "finance" alone: a Flask application.

export COGNITO_USER_POOL_ID=us-east-1_AbCdEfGhI COGNITO_CLIENT_ID=1example23456789 COGNITO_TOKEN_USE=access
pip install '.[flask]' 'flask[async]'    # a view of it is `async def`
flask --app examples/flask_reports/app.py run
"""

from __future__ import annotations

import os
from typing import Any

from flask import Blueprint, Flask

from cognito_verify.errors import AccessDeniedError
from cognito_verify.integrations.flask import CognitoAuth

auth = CognitoAuth()
finance = Blueprint("finance", __name__, url_prefix="/finance")
auth.protect(finance, groups="finance")


def create_app() -> Flask:
    app = Flask(__name__)
    app.config.from_mapping({name: value for name, value in os.environ.items() if name.startswith("COGNITO_")})
    auth.init_app(app)

    @app.get("/health")
    def health() -> dict[str, Any]:
        return {"up": True}

    @app.get("/reports")
    @auth.required()
    def reports() -> dict[str, Any]:
        return {"for": auth.token.username, "reports": ["2026-10", "2026-11"]}

    @app.get("/reports/<name>")
    @auth.required()
    async def report(name: str) -> dict[str, Any]:
        if name == "2026-11":
            raise AccessDeniedError("the report of this month is not published yet")
        return {"for": auth.token.username, "report": name}

    app.register_blueprint(finance)
    return app


@finance.get("/figures")
def figures() -> dict[str, Any]:
    return {"for": auth.token.username, "turnover": 400_000}
