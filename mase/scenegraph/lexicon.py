"""Closed word classes and small authored word lists that the rules look words up in."""

DETERMINERS = frozenset(
    "a an the this that these those some any every each another other both all half several many much "
    "more most few various certain such either neither enough lots plenty one what whatever which my "
    "your his her its our their whose".split()
)
PRONOUNS = frozenset(
    "i me you he him she it we us they them who whom myself yourself himself herself itself ourselves "
    "themselves mine yours hers ours theirs everyone everybody anyone anybody nobody none one's this "
    "that these those 'em".split()
)
BACK_REFERENCES = frozenset("it them him her itself themselves".split())
SUBORDINATORS = frozenset(
    "while because although though if unless since whereas whether when once until as so because "
    "after before".split()
)
CONJUNCTIONS = frozenset("and or & nor plus".split())
CONTRASTS = frozenset("but yet".split())
NEGATIONS = frozenset("not n't never no".split())
BE = frozenset("am is are was were be been being 's 're 'm isn aren wasn weren get gets got getting".split())
HAVE = frozenset("have has had having 've".split())
DO = frozenset("do does did doing done".split())
MODALS = frozenset("can could will would shall should may might must ca wo 'll 'd".split())
COPULAR = frozenset(
    "look looks seem seems seemed appear appears appeared become becomes became feel feels remains".split()
)

PREPOSITIONS = frozenset(
    "about above across after against along alongside amid among around at atop before behind below "
    "beneath beside besides between beyond by despite down during except for from in inside into like "
    "near of off on onto opposite outside over past per through throughout toward towards under "
    "underneath until up upon via versus with within without".split()
)
"""Words that are read as prepositions where the tagger calls them IN, RP, RB or JJ."""

PHRASAL_PREPOSITIONS: dict[tuple[str, ...], str] = {
    tuple(line.split("|")[0].split()): line.split("|")[-1].strip()
    for line in """in front of
on top of
at top of|on top of
at the top of|on top of
next to
close to
near to|near
out of
away from
in back of
on back of
at back of|on back of
on side of
at side of|on side of
to side of|on side of
along side of|on side of
on other side of|on side of
on opposite side of|on side of
on edge of
at edge of|on edge of
on end of|in end of
at end of|in end of
in end of
in middle of|on middle of
on middle of
in center of|on middle of
in centre of|on middle of
on bottom of
at bottom of|on bottom of
on front of
at front of|on front of
in corner of
on corner of
at rear of
on rear of|at rear of
to left of|at the left of
on left of|at the left of
at left of|at the left of
on left side of|at the left of
on left hand side of|at the left of
to right of|on the right side of
on right of|on the right side of
at right of|on the right side of
on right side of|on the right side of
on right hand side of|on the right side of
on both sides of
on either side of|on both sides of
inside of|inside
outside of|outside
instead of
because of
according to
along with|with
up to
adjacent to
across from
ahead of
apart from
as well as
in addition to
in spite of
in between|between
in line with
in reference to
in regard to
with regard to
on account of
on board|on
on to|on
onto top of|on top of
due to
prior to
rather than
such as""".splitlines()
}
"""Preposition phrases without their determiners, and the predicate that each is written as."""

PLACE_PHRASES = frozenset(
    [
        ("on", "left"),
        ("on", "right"),
        ("in", "distance"),
        ("at", "left"),
        ("at", "right"),
        ("to", "left"),
        ("to", "right"),
    ]
)

COLOURS = frozenset(
    "red orange yellow green blue purple violet pink brown black white gray grey beige tan gold "
    "golden silver maroon teal turquoise navy cream ivory crimson lavender khaki blonde blond "
    "brunette multicolored multi-colored colorful burgundy magenta aqua bronze copper".split()
)
SHADES = frozenset("dark light bright pale deep".split())
FORMED = frozenset("colored coloured haired shaped sized sleeved eyed legged handled faced".split())
"""Last parts of two-word modifiers (dark colored, long haired)."""
MATERIALS = {
    word: word
    for word in "metal brick stone glass plastic dirt concrete cement leather paper rock iron steel granite "
    "marble cloth wooden wicker bamboo tile denim wool cotton silk cardboard tin aluminum rubber clay gravel "
    "straw".split()
} | {"wood": "wooden"}
"""Nouns that before another noun say what it is made of."""

KINDS = frozenset("baby adult toy computer laptop wii male female passenger military electric plaid".split())
"""Nouns that before another noun are read as an attribute."""

ADJECTIVES = frozenset(
    "tall short long big small large huge tiny little giant high low wide narrow thick thin round "
    "square flat curved curly straight striped spotted checkered plaid floral grassy sandy rocky "
    "snowy dusty muddy dirty clean wet dry shiny fluffy furry hairy fuzzy puffy bushy leafy leafless "
    "bare empty full open closed broken rusty wooden metallic bald blonde young old elderly new "
    "vintage modern antique rectangular circular oval triangular pointy sharp blunt smooth rough soft "
    "hard heavy clear cloudy overcast sunny foggy stormy bright dark dim shallow deep steep tiled "
    "paved cooked fried grilled baked melted sliced chopped stuffed folded parked crowded busy calm "
    "wavy choppy brave happy sad angry hungry sleepy tired lone single double upper lower rear front "
    "colorful decorative ornate fancy plain fresh ripe rotten raw frozen cold warm cool electrical "
    "outdoor indoor overhead nearby distant upright blurry shaggy spiky jagged tattered ruffled "
    "sleeveless bearded wild domestic tropical evergreen grown".split()
)
"""Visual adjectives, read as such before a noun even where the tagger does not know them."""

COLLECTIVES = {
    **{
        w: w
        for w in "piece part slice patch pile pieces slices patches piles parts stack stacks bunch".split()
    },
    "block": "block",
    "group": "group of",
    "groups": "group of",
    "pair": "pair of",
    "couple": "2",
    "herd": "herd of",
    "flock": "flock of",
    "row": "row of",
    "rows": "row of",
    "bunches": "bunch",
    "set": "set of",
    "lot": "",
    "lots": "",
    "number": "",
    "amount": "",
    "variety": "",
    "kind": "",
    "type": "",
    "sort": "",
    "view": "",
}
"""Nouns before "of" that say how much or how grouped; the value is the attribute, "" for none."""

CONTAINERS = {
    **dict.fromkeys(
        "glass glasses bottle bottles box boxes cup cups basket baskets bag bags jar jars bowl bowls vase "
        "vases can cans mug mugs pot pots bucket pan line carton crate case cases picture photo".split(),
        "in",
    ),
    "plate": "on",
    "plates": "on",
    "tray": "on",
    "trays": "on",
    "platter": "on",
    "sheet": "on",
}
"""Nouns before "of" that hold or show the other noun; the value is the preposition of that relation."""

ANIMATE = frozenset(
    "man woman men women boy girl boys girls person people child children kid kids baby babies guy "
    "guys lady ladies player players batter catcher pitcher umpire skier skiers snowboarder "
    "snowboarders surfer surfers skateboarder rider riders driver officer policeman policemen worker "
    "workers chef student students couple crowd group family pedestrian pedestrians toddler gentleman "
    "male female teenager adult adults tourist tourists passenger passengers dog dogs cat cats horse "
    "horses cow cows sheep goat goats bear bears elephant elephants giraffe giraffes zebra zebras "
    "bird birds duck ducks puppy kitten animal animals monkey lion tiger deer seagull pigeon bull "
    "bulls lamb mother father son daughter brother sister friend friends athlete cyclist biker bride "
    "groom soldier clown".split()
)
"""Heads that a participle may skip back to over a closer noun (the man with a hat riding a horse)."""

TRANSITIVE_GERUNDS = frozenset(
    "wearing holding riding carrying eating playing using watching reading catching throwing hitting "
    "pulling pushing feeding taking making cutting drinking driving flying walking crossing facing "
    "petting touching brushing holding washing having showing serving selling swinging surfing".split()
)
"""Gerunds that before a bare noun at the start of a text are verbs, not modifiers."""

ING_NOUNS = frozenset(
    "building clothing railing ceiling painting evening morning wedding lighting icing frosting ring "
    "king string wing spring thing something anything everything nothing sling earring crossing "
    "awning paneling siding covering drawing meeting opening parking swing landing bedding topping "
    "stuffing flooring dressing pudding".split()
)

THIRD_PERSON_VERBS = frozenset(
    "sits stands rides walks holds wears hangs lies lays flies eats plays looks drives grazes rests "
    "leans runs jumps carries throws catches hits swings watches sleeps talks reads drinks pulls "
    "pushes faces waits smiles poses surfs skis goes comes grows leads covers contains surrounds "
    "touches uses shows sells serves feeds crosses".split()
)
"""Verb forms that the tagger takes for plural nouns after a noun."""

_ADVERBS = frozenset(
    "here there now then just also even still only very quite too almost already always often again "
    "soon perhaps maybe however instead rather far back".split()
)


def is_adverb(word: str) -> bool:
    """Say whether a word is an adverb by its ending or by a short list."""
    return word.endswith("ly") or word in _ADVERBS


PLACE_ADVERBS = frozenset("outside inside up down off".split())
"""Prepositions that are attributes when nothing follows (the dog is outside)."""
