"""Everyday objects with their usual colour, shape, sound and motion, written for this project.

The lists say what most people would say of a typical specimen; an object appears only
in the lists where the answer is clear. `silent` and `still` are answers too. The
lexicon decides labels and nothing else: no tower is trained on it.

`SOUNDS` and `MOTIONS` cross: the objects that are in both fall into four cells of about
equal size (sounding or silent, moving or still), so that the label of one task tells
nothing about the label of the other.
"""

from dataclasses import dataclass

COLOURS: dict[str, str] = {
    "red": "beetroot, boxing glove, brick, cherry, chilli pepper, crab, cranberry, fire engine, fire "
    "extinguisher, fire hydrant, holly berry, ladybird, lobster, pomegranate, poppy, post box, radish, "
    "raspberry, rose, ruby, stop sign, strawberry, toffee apple, tomato",
    "orange": "apricot, basketball, cantaloupe, carrot, clementine, clownfish, fox, kumquat, life jacket, "
    "mango, nectarine, papaya, peach, persimmon, pumpkin, sweet potato, tangerine, tiger, traffic cone",
    "yellow": "banana, bulldozer, buttercup, canary, chick, corn cob, crown, daffodil, dandelion, duckling, "
    "egg yolk, french fry, giraffe, grapefruit, haystack, honeycomb, lemon, lion, noodle, omelette, "
    "pineapple, quince, rubber duck, saxophone, school bus, squash, sunflower, trumpet, wasp, wheel of "
    "cheese",
    "pink": "ballet slipper, carnation, cherry blossom, flamingo, pig, piggy bank, prawn, slice of ham, "
    "tongue",
    "green": "artichoke, avocado, cabbage, cactus, celery stick, clover, courgette, crocodile, cucumber, "
    "emerald, fern, frog, gherkin, hedge, iguana, lettuce, lime, mint leaf, palm tree, pea, pear, pine "
    "tree, praying mantis, shamrock, snooker table, spinach leaf, turtle, watermelon",
    "blue": "cornflower, denim jacket, forget-me-not, kingfisher, lake, paddling pool, pair of jeans, "
    "peacock, sapphire",
    "white": "bathtub, bone, cauliflower, chef hat, daisy, dove, egg, fridge, garlic bulb, ghost, golf ball, "
    "iceberg, igloo, lamb, lily, marshmallow, pearl, pillow, polar bear, seagull, sheep, skull, "
    "snowflake, snowman, stork, sugar cube, swan, toilet, tooth, wedding dress",
    "black": "ant, bat, beetle, bowler hat, cauldron, crow, frying pan, gorilla, hockey puck, liquorice "
    "stick, lump of coal, mole, panther, penguin, raven, spider, top hat, tuxedo, tyre, vinyl record",
    "grey": "anchor, anvil, battleship, boulder, concrete block, donkey, elephant, gravestone, hippopotamus, "
    "koala, nail, paper clip, pebble, pigeon, rain cloud, rat, rhinoceros, screw, seal, shark, spanner, "
    "submarine, wolf",
}

SHAPES: dict[str, str] = {
    "round": "basketball, beetroot, bowl, button, cabbage, cherry, clementine, coin, compass, cymbal, dinner "
    "plate, doughnut, drum, dustbin lid, egg yolk, football, frisbee, globe, golf ball, gong, gramophone, "
    "grapefruit, hockey puck, hula hoop, lettuce, marble, melon, pancake, pea, pearl, pizza, planet, "
    "plum, pomegranate, pumpkin, roulette wheel, snowball, tambourine, tennis ball, tomato, tyre, vinyl "
    "record, watermelon, wheel of cheese",
    "long": "arrow, asparagus spear, banana, baseball bat, bassoon, broom, candle, canoe, carrot, celery "
    "stick, chopstick, clarinet, corn cob, crocodile, crutch, cucumber, eel, fishing rod, flagpole, "
    "flute, french fry, garden hose, gherkin, javelin, ladder, liquorice stick, nail, needle, noodle, "
    "oar, paintbrush, pencil, pool cue, rope, ruler, screwdriver, ski, skipping rope, spear, sword, "
    "toothbrush, train, worm",
}

SOUNDS: dict[str, str] = {
    "bark": "dog, seal",
    "meow": "cat",
    "moo": "cow",
    "bleat": "goat, lamb, sheep",
    "neigh": "horse",
    "grunt": "pig",
    "bray": "donkey",
    "quack": "duck",
    "honk": "bus, car horn, goose, swan",
    "cluck": "chick, hen, rooster, turkey",
    "roar": "bear, jet plane, lion, racing car, steam train, tiger",
    "howl": "hyena, wolf",
    "buzz": "bee, doorbell, drone, electric razor, mosquito, wasp",
    "croak": "frog, toad",
    "caw": "crow, magpie, raven",
    "hoot": "foghorn, owl",
    "sing": "canary, music box, nightingale, robin",
    "screech": "monkey, parrot, peacock, seagull",
    "coo": "cuckoo, dove, pigeon",
    "chirp": "cricket, duckling, sparrow",
    "rumble": "bulldozer, dishwasher, generator, tractor, train, tram, truck, washing machine",
    "growl": "lawnmower, motorbike, scooter, speedboat",
    "chop": "helicopter",
    "wail": "ambulance, burglar alarm, fire alarm, fire engine, police car, siren, smoke alarm",
    "jingle": "cash register, ice cream van, tambourine, wind chime",
    "knock": "woodpecker",
    "ring": "alarm clock, bell, church bell, kitchen timer, telephone",
    "play": "accordion, banjo, bassoon, cello, church organ, clarinet, flute, gramophone, guitar, harmonica, "
    "harp, jukebox, mandolin, oboe, piano, radio, saxophone, trombone, trumpet, tuba, ukulele, violin, "
    "xylophone",
    "beat": "bongo, drum",
    "clang": "cymbal, gong",
    "boil": "kettle",
    "whirr": "blender, coffee grinder, dentist drill, food mixer, hair dryer, printer, sewing machine",
    "tick": "grandfather clock, metronome",
    "boom": "cannon, loudspeaker, megaphone",
    "silent": "ant, arrow, balloon, basket, bathtub, beetle, bench, bicycle, blanket, book, bookshelf, "
    "boomerang, boulder, brick, bucket, cabbage, cable car, cactus, candle, canoe, carpet, carrot, "
    "caterpillar, centipede, chair, chameleon, cloud, coat, coin, comet, crab, cucumber, cup, cushion, "
    "dinner plate, eel, envelope, escalator, feather, fence, frisbee, gecko, giraffe, glider, glove, "
    "gondola, gravestone, hare, hat, hedgehog, hot air balloon, javelin, jellyfish, jumper, kayak, kite, "
    "ladder, ladybird, lampshade, leaf, lemon, lizard, lobster, mattress, mirror, mole, moth, mountain, "
    "mushroom, necklace, newt, notebook, octopus, onion, painting, pancake, paper plane, parachute, "
    "pebble, pencil, pendulum, pillar, pillow, pineapple, pizza, post box, potato, pumpkin, pyramid, "
    "rabbit, raft, ruler, salamander, salmon, sandwich, scarf, scorpion, seahorse, shark, signpost, sink, "
    "skateboard, sledge, sloth, slug, snail, snowflake, soap bubble, sock, sofa, spider, spoon, squid, "
    "stamp, statue, stingray, stork, suitcase, table, tadpole, tortoise, towel, trout, tumbleweed, "
    "turtle, unicycle, vase, wall, wardrobe, worm, yacht, yo-yo",
}

MOTIONS: dict[str, str] = {
    "run": "bear, cat, chick, cow, dog, donkey, duckling, giraffe, goat, hare, hen, horse, hyena, lamb, "
    "lion, pig, rooster, sheep, tiger, turkey, wolf",
    "hop": "cricket, frog, rabbit, robin, sparrow, toad",
    "climb": "gecko, monkey, sloth",
    "crawl": "ant, beetle, caterpillar, centipede, chameleon, crab, hedgehog, ladybird, lizard, lobster, "
    "mole, newt, salamander, scorpion, slug, snail, spider, tortoise, worm",
    "swim": "duck, eel, goose, jellyfish, octopus, salmon, seahorse, seal, shark, squid, stingray, swan, "
    "tadpole, trout, turtle",
    "fly": "arrow, bee, boomerang, canary, comet, crow, cuckoo, dove, drone, frisbee, glider, helicopter, "
    "javelin, jet plane, kite, magpie, mosquito, moth, nightingale, owl, paper plane, parrot, peacock, "
    "pigeon, raven, seagull, stork, wasp, woodpecker",
    "drive": "ambulance, bulldozer, bus, fire engine, ice cream van, lawnmower, motorbike, police car, "
    "racing car, scooter, tractor, truck",
    "roll": "bicycle, skateboard, steam train, train, tram, tumbleweed, unicycle",
    "float": "balloon, cloud, feather, hot air balloon, leaf, parachute, snowflake, soap bubble",
    "sail": "canoe, gondola, kayak, raft, speedboat, yacht",
    "slide": "cable car, escalator, sledge",
    "swing": "pendulum, yo-yo",
    "still": "accordion, alarm clock, banjo, basket, bassoon, bathtub, bell, bench, blanket, blender, bongo, "
    "book, bookshelf, boulder, brick, bucket, burglar alarm, cabbage, cactus, candle, cannon, car horn, "
    "carpet, carrot, cash register, cello, chair, church bell, church organ, clarinet, coat, coffee "
    "grinder, coin, cucumber, cup, cushion, cymbal, dentist drill, dinner plate, dishwasher, doorbell, "
    "drum, electric razor, envelope, fence, fire alarm, flute, foghorn, food mixer, generator, glove, "
    "gong, gramophone, grandfather clock, gravestone, guitar, hair dryer, harmonica, harp, hat, jukebox, "
    "jumper, kettle, kitchen timer, ladder, lampshade, lemon, loudspeaker, mandolin, mattress, megaphone, "
    "metronome, mirror, mountain, mushroom, music box, necklace, notebook, oboe, onion, painting, "
    "pancake, pebble, pencil, piano, pillar, pillow, pineapple, pizza, post box, potato, printer, "
    "pumpkin, pyramid, radio, ruler, sandwich, saxophone, scarf, sewing machine, signpost, sink, siren, "
    "smoke alarm, sock, sofa, spoon, stamp, statue, suitcase, table, tambourine, telephone, towel, "
    "trombone, trumpet, tuba, ukulele, vase, violin, wall, wardrobe, washing machine, wind chime, "
    "xylophone",
}


@dataclass(frozen=True)
class Entry:
    """One object; an attribute is None where no answer is clear."""

    name: str
    colour: str | None = None
    shape: str | None = None
    sound: str | None = None
    motion: str | None = None


def _names(listed: str) -> list[str]:
    return [name.strip() for name in listed.split(",")]


def by_object(attribute: dict[str, str]) -> dict[str, str]:
    """Turn one of the tables above round: object name to the attribute's value."""
    return {name: value for value, listed in attribute.items() for name in _names(listed)}


def entries() -> list[Entry]:
    """Return every object of the lexicon once, sorted by name."""
    tables = [by_object(table) for table in (COLOURS, SHAPES, SOUNDS, MOTIONS)]
    names = sorted(set().union(*tables))
    return [Entry(name, *(table.get(name) for table in tables)) for name in names]
