"""How English continues a conversation.

The lists and patterns know the forms that are common, and leave a question alone when in doubt.
"""

from __future__ import annotations

from ragmesh.generation.adapters.leaning import Wording, any_of
from ragmesh.generation.adapters.words import function_words

_EMPTY = """
    again all allow allowed always anybody anyone anything apply back bad become best better big
    bit called case cases change come common compare consider different differ else enough ever
    everything example explain far few find first fine general get give go good great happen
    happened happens hard help hmm important instead interested it's just keep kind know last late
    least let like little long look lot made main make makes makes matter maybe mean means much
    need needed never new next nobody now often ok okay old only one ones otherwise own please
    possible put rather really right said say see seem show small something soon sort still sure
    take taken takes talk tell tells thank thanks thing things think time times to too true try two
    type types until use used usually very want way ways well went what's who's whose whether work
    works yes yet there's that's let's don't doesn't isn't can't i'm i've i'd
    it its itself they them their theirs themselves he him his himself she her hers herself
    this that these those there here same such former latter another one's
"""
_RELATIONAL = """
    advantage advantages age amount amounts address author benefit benefits biggest cause caused
    causes characters charge charges colour common condition conditions consequence consequences
    cost costs creation date deadline deadlines difference differences disadvantage disadvantages
    drawbacks duration effect effects evidence example examples exception exceptions factor factors
    famous fee fees findings hours history impact importance important invented kind kinds largest
    length limit limits longest main major maximum member members minimum modern name names number
    oldest options origin origins penalty popular possible price prices procedure process pros cons
    purpose reason reasons requirement requirements result results risk risks role rule rules side
    sign significance signs similar similarities size smallest specific steps successful symptom
    symptoms types use uses values weight youngest
"""
_PRONOUNS = """
    it its itself they them their theirs themselves he him his himself she her hers herself it's
    they're he's she's they've they'll he'll she'll it'll
"""
_EXPLETIVE = (
    "(?:allowed|best|better|common|costs?|easy|enough|forbidden|hard|important|legal|mandatory"
    "|necessary|normal|permitted|possible|required|safe|takes?|true|useful|worth)"
)
"""What is said of an "it" that stands for nothing: "is it allowed to ...", "it takes ..."."""
_POINTING = any_of(
    r"\b(?:the|that|this|these|those|which) (?:same|ones?|others?)\b",
    r"\bsame\b",
    r"\bthe (?:former|latter|other \w+)\b",
    r"\bsuch an?\b",
    r"\banother one\b",
    r"\belse\b",
    r"\b(?:this|these|those|there)\b",
    r"(?:^|\b(?:about|after|and|at|before|by|case|did|do|does|for|from|how|if|in|into|is|of|on|than"
    r"|to|under|until|was|why|with|without|would)) that\b(?! (?:an?|he|she|the|they|we|you)\b)",
    r"\b(?:it|them|him|they) ?[?.!]*$",
    r"\b(?:about|against|around|at|behind|by|for|from|in|of|on|than|to|with|without)"
    r" (?:it|them|him)\b",
)
_NOT_POINTING = any_of(
    rf"\bit (?:\w+ ){{0,2}}?{_EXPLETIVE}(?: \w+){{0,3}}? (?:to|that|for|if|when)\b(?=.*\w)",
    r"\b(?:is|are|was|were|will|be|been|has|have|can|may|must|does) there\b",
    r"\bthere (?:is|are|was|were|will|must|may|has|have|can|be|any)\b",
    r"\b(?:this|these) (?:year|month|week|morning|afternoon|evening|summer|winter|season)\b",
    r"\bso that\b",
    r"\banyone else\b",
)
_CONTRASTING = any_of(
    r"(?:and |but |ok(?:ay)?,? |so )?(?:what|how) about\b",
    r"what of\b",
    r"(?:and |but )?(?:after|at|before|during|for|from|in|of|on|to|with|without)"
    r" (?:the )?[\w-]+(?: [\w-]+)? ?\??$",
)

ENGLISH = Wording(
    empty=function_words("en") | frozenset(_EMPTY.split()),
    relational=frozenset(_RELATIONAL.split()),
    pronouns=frozenset(_PRONOUNS.split()),
    pointing=_POINTING,
    not_pointing=_NOT_POINTING,
    opening=any_of(r"(?:and|but|or|also|then|so|ok|okay|what if|even)\b"),
    contrasting=_CONTRASTING,
    elliptic=any_of(
        r"(?:how|which|what|when|where|who|why|by|since|until|till|for|on|in|at|with)\b"
    ),
    defining=any_of(r"(?:what|who) (?:is|are|was|were)\b"),
    names_by_capitals=True,
)
