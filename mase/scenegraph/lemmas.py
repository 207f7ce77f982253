"""Verb lemmas by rule: an authored table of irregular forms, then spelling rules for regular ones."""

from functools import lru_cache

_IRREGULAR_LINES = """be am is are was were been being
have has had having
do does did done
go goes went gone
lie lying lies
lay laid lays laying
sit sat
stand stood
hold held
ride rode ridden
eat ate eaten
take took taken
throw threw thrown
catch caught
hang hung
swing swung
drive drove driven
fly flew flown flies
give gave given
get got gotten getting
see saw seen
say said says
make made
come came
know knew known
think thought
find found
tell told
become became
leave left leaves
feel felt
bring brought
begin began begun
keep kept
write wrote written
run ran
speak spoke spoken
spend spent
grow grew grown
win won
buy bought
send sent
build built
fall fell fallen
sell sold
draw drew drawn
break broke broken
lead led
meet met
pay paid
rise rose risen
wear wore worn
choose chose chosen
sleep slept
sing sang sung
sink sank sunk
swim swam swum
ring rang rung
drink drank drunk
shoot shot
fight fought
teach taught
seek sought
lose lost
light lit
slide slid
stick stuck
stink stank stunk
control controlled controlling
fulfil fulfilled fulfilling
bear bore borne born
sow sown
overtake overtook overtaken
overhear overheard
learn learnt
strike struck stricken
sweep swept
wind wound
bend bent
bind bound
bite bit bitten
bleed bled
blow blew blown
breed bred
cling clung
creep crept
deal dealt
dig dug
feed fed
flee fled
forget forgot forgotten
forgive forgave forgiven
freeze froze frozen
grind ground
hear heard
hide hid hidden
kneel knelt
lend lent
mean meant
shake shook shaken
shine shone
show showed shown
shrink shrank shrunk
spin spun
spring sprang sprung
steal stole stolen
sting stung
swear swore sworn
tear tore torn
understand understood
wake woke woken
weave wove woven
withdraw withdrew withdrawn
prove proven
saw sawn
sew sewn
tie tied tying ties
die died dying dies
dye dyed dyeing
ski skied skis skiing
taxi taxiing
see seeing
flee fleeing
be being
cut cutting cuts
put putting
set setting
hit hitting
let letting
shut shutting
bet betting
split splitting
spread spreading
read reading
cost costing
hurt hurting
burst bursting
cast casting
rest rested resting rests
taste tasted tasting
paste pasted pasting
waste wasted wasting
haste hasted
bathe bathed bathing
come coming
skateboard skateboarding
breathe breathed breathing
clothe clothed clothing
dance danced dancing
lean leaned leaning
picnic picnicking picnicked
program programmed
travel traveling traveled travelling travelled
focus focused focusing
line lined lining lines
shape shaped shaping
pose posed posing
use used using
cause caused causing
close closed closing
enclose enclosed enclosing
chase chased chasing
graze grazed grazing
gaze gazed gazing
seize seized
prepare prepared preparing
compare compared comparing
share shared sharing
stare stared staring
square squared
care cared caring
dare dared daring
scare scared scaring
require required requiring
retire retired retiring
fire fired firing
hire hired hiring
wire wired wiring
acquire acquired acquiring
store stored storing
score scored scoring
explore explored exploring
ignore ignored ignoring
restore restored
shore shored
adore adored
pile piled piling
smile smiled smiling
file filed filing
sale sale
scale scaled scaling
tile tiled tiling
rule ruled ruling
schedule scheduled scheduling
mime mimed
time timed timing
name named naming
frame framed framing
blame blamed blaming
assume assumed assuming
consume consumed consuming
resume resumed
shade shaded shading
fade faded fading
trade traded trading
parade paraded parading
wade waded wading
decide decided deciding
provide provided providing
divide divided dividing
guide guided guiding
include included including
exclude excluded
conclude concluded
decorate decorated decorating
locate located locating
create created creating
operate operated operating
skate skated skating
plate plated
state stated stating
date dated dating
rate rated rating
hate hated hating
note noted noting
vote voted voting
promote promoted
quote quoted
write writing
bite biting
invite invited inviting
unite united
cite cited
excite excited
compete competed competing
complete completed completing
delete deleted
attribute attributed
contribute contributed
execute executed
dispute disputed
pollute polluted
salute saluted
bake baked baking
make making
take taking
shake shaking
wake waking
like liked liking
bike biking biked
hike hiked hiking
strike striking
smoke smoked smoking
poke poked poking
joke joked joking
stroke stroked
choke choked
wipe wiped wiping
stripe striped
pipe piped
type typed typing
tape taped taping
drape draped draping
scrape scraped scraping
escape escaped escaping
hope hoped hoping
rope roped
slope sloped sloping
shine shining
dine dined dining
mine mined mining
combine combined combining
define defined defining
decline declined
phone phoned
tune tuned
prune pruned
plane planed
decline declining
imagine imagined
examine examined
determine determined
crane craned
raise raised raising
erase erased
purchase purchased purchasing
increase increased increasing
decrease decreased
release released releasing
lease leased
please pleased
rise rising
advise advised
exercise exercised exercising
surprise surprised
browse browsed browsing
cruise cruised cruising
lose losing
choose choosing
rinse rinsed
place placed placing
race raced racing
face faced facing
brace braced
slice sliced slicing
ice iced
wedge wedged
lodge lodged
arrange arranged arranging
change changed changing
charge charged charging
plunge plunged
lounge lounged lounging
lunge lunged lunging
emerge emerged
hinge hinged
range ranged
edge edged
merge merged
judge judged
stage staged
manage managed
urge urged
gauge gauged
engage engaged
damage damaged
package packaged
give giving
live lived living
drive driving
dive dived diving dove
arrive arrived arriving
leave leaving
save saved saving
wave waved waving
pave paved
shave shaved shaving
have having
carve carved
curve curved
serve served serving
observe observed observing
move moved moving
remove removed removing
prove proved
love loved loving
believe believed
receive received
achieve achieved
continue continued
argue argued
value valued
queue queued
pursue pursued
issue issued
ripple rippled
tumble tumbled
dribble dribbled
nibble nibbled nibbling
cuddle cuddled
handle handled
settle settled
huddle huddled
straddle straddled
paddle paddled paddling
saddle saddled
cradle cradled
sprinkle sprinkled
tackle tackled
juggle juggled
snuggle snuggled
mingle mingled
struggle struggled
angle angled
tangle tangled
nestle nestled
wrestle wrestled
whistle whistled
circle circled
recycle recycled
cycle cycled cycling
"""

_IRREGULAR = {
    form: line.split()[0] for line in reversed(_IRREGULAR_LINES.splitlines()) for form in line.split()[1:]
}
_VOWELS = "aeiou"
_FROM_EE = ("agreed", "disagreed", "freed", "guaranteed", "refereed", "decreed")
_KEEP_DOUBLE = ("ll", "ss", "ff", "zz")
_FIXED_S = ("ss", "us", "is")
_E_ENDINGS = tuple("c u v dg rg lg ang bl dl fl gl kl pl tl zl cl rs ns ls ps ts iat uat ib com".split())
_SINGLE_VOWEL_ENDINGS = tuple("at ut ot id ud ad od ak ok ik uk ap ip ar ir ur".split())


@lru_cache(maxsize=50_000)
def verb_lemma(form: str) -> str:
    """Return the base form of an English verb form (lower case); an unknown shape comes back as it is.

    >>> [verb_lemma(form) for form in ("sitting", "rides", "carried", "grazed", "hung")]
    ['sit', 'ride', 'carry', 'graze', 'hang']
    """
    if form in _IRREGULAR:
        return _IRREGULAR[form]
    if form.endswith("ing") and len(form) > 4 and any(c in "aeiouy" for c in form[:-3]):
        return _stem(form[:-3])
    if form.endswith("ied") and len(form) > 4:
        return form[:-3] + "y"
    if form.endswith("eed"):
        return form[:-1] if form in _FROM_EE else form
    if form.endswith("ed") and len(form) > 3 and any(c in "aeiouy" for c in form[:-2]):
        return _stem(form[:-2])
    if form.endswith("s") and len(form) > 3 and not form.endswith(_FIXED_S):
        return _without_s(form)
    return form


def _without_s(form: str) -> str:
    if form.endswith("ies") and len(form) > 4:
        return form[:-3] + "y"
    if form.endswith(("ches", "shes", "sses", "xes", "zzes", "oes")):
        return form[:-2]
    return form[:-1]


def _stem(stem: str) -> str:
    """Undo the spelling changes before -ing and -ed."""
    if len(stem) > 3 and stem[-1] == stem[-2] and stem[-1] not in _VOWELS and not _keeps_double(stem):
        return stem[:-1]
    return stem + "e" if _takes_e(stem) else stem


def _keeps_double(stem: str) -> bool:
    if stem.endswith(("ell", "oll", "all")):
        return sum(c in _VOWELS for c in stem) == 1 or stem in ("enroll", "install", "recall")
    return stem.endswith(_KEEP_DOUBLE)


def _takes_e(stem: str) -> bool:
    """Say whether a regular verb's stem lost a final e, from its last letters."""
    if len(stem) < 2:
        return False
    if stem.endswith(_E_ENDINGS):
        return not stem.endswith(("hang", "clang", "bang"))
    if stem[-1] == "z":
        return stem[-2] != "z"
    if stem[-1] == "s":
        return stem[-2] in _VOWELS
    single_vowel = stem[-2] in _VOWELS and (len(stem) < 3 or stem[-3] not in _VOWELS)
    if single_vowel and stem.endswith("op"):
        return len(stem) < 5
    if single_vowel and len(stem) > 2 and stem.endswith(_SINGLE_VOWEL_ENDINGS):
        return True
    return single_vowel and stem[-1] in "gm" and stem[-2] in "aiu"


def present_participle(lemma: str) -> str:
    """Return the -ing form of a verb's base form.

    >>> [present_participle(lemma) for lemma in ("sit", "ride", "lie", "bark", "see")]
    ['sitting', 'riding', 'lying', 'barking', 'seeing']
    """
    if lemma.endswith("ie"):
        return lemma[:-2] + "ying"
    if lemma.endswith("e") and not lemma.endswith(("ee", "oe", "ye")) and len(lemma) > 2:
        return lemma[:-1] + "ing"
    short = sum(c in "aeiouy" for c in lemma) == 1
    if short and len(lemma) > 2 and lemma[-1] not in "aeiouwxy" and lemma[-2] in _VOWELS:
        return lemma + lemma[-1] + "ing"
    return lemma + "ing"
