"""Keys, signatures with domain separation, credentials' tokens."""

from .keys import PUBLIC_KEY_BYTES as PUBLIC_KEY_BYTES
from .keys import SEED_BYTES as SEED_BYTES
from .keys import SIGNATURE_BYTES as SIGNATURE_BYTES
from .keys import Ed25519Verifier as Ed25519Verifier
from .keys import KeyPair as KeyPair
from .keys import Signer as Signer
from .keys import Verifier as Verifier
from .keys import is_acceptable_public_key as is_acceptable_public_key
from .keys import verify as verify
from .tokens import key_of as key_of
from .tokens import token_of as token_of
