"""FastAPI in a Lambda function behind its own URL. No API Gateway stands in front: the application authorizes.

On a laptop: `uvicorn app:app`. In Lambda: the handler `app.handler`, or uvicorn behind the Lambda Web Adapter.
"""

from typing import Annotated

from fastapi import FastAPI, Security
from mangum import Mangum

from cognito_verify import AccessToken, CognitoVerifier, IdToken
from cognito_verify.integrations.fastapi import CognitoBearer

# Made once in each process. The keys come from COGNITO_JWKS; without it, each process fetches its own.
cognito = CognitoBearer(CognitoVerifier.from_env())
User = Annotated[AccessToken | IdToken, Security(cognito)]
Finance = Annotated[AccessToken | IdToken, Security(cognito.requires(groups="finance"))]

app = FastAPI(title="Reports")


@app.get("/hello")
async def hello(user: User) -> dict[str, str | None]:
    """Any user of the pool."""
    return {"hello": user.username}


@app.get("/reports/{report_id}")
def report(report_id: int, user: Finance) -> dict[str, str | int | None]:
    """Users in the group `finance` alone."""
    return {"report": report_id, "for": user.username}


handler = Mangum(app, lifespan="off")
