"""What people say of things: praise and complaints, written for this project.

Each phrase completes "the kettle was ...". None names a colour, a shape, a sound or a motion,
so only the words of the sentence tell whether it praises or complains.
"""

PRAISE = (
    "absolutely wonderful, a genuine delight, well worth the money, beautifully made, a great success, "
    "exactly right, the best thing all year, simply splendid, truly excellent, far better than expected, a "
    "lovely surprise, quite magnificent, charming in every way, a real treasure, perfect for the occasion, "
    "thoroughly enjoyable, admired by everybody, impressive and clever, a joy to have around, superb, "
    "flawless, remarkable, first class, outstanding, a stroke of genius, deeply satisfying, loved by the "
    "whole family, very good value, something to be proud of, highly recommended, a pleasant change, "
    "fantastic, adorable, exquisite, marvellous, a triumph, terrific, brilliant from start to finish, just "
    "what they needed, a credit to its maker, a welcome gift, rather delightful, very much appreciated, in "
    "excellent condition, better than any other, an inspired choice, a pleasure to look after, cherished "
    "for years, praised by the experts, reliable and sturdy, worth every penny, elegant, glorious, "
    "faultless, as good as new, a lucky find, the pride of the house, a source of great happiness, "
    "gorgeous, extraordinary in the best sense, incredibly useful, a clear winner, the favourite of the "
    "children, lovingly restored, everything one could wish for, comforting, sensational, astonishingly "
    "fine, a masterpiece, tasteful, of the highest quality, amusing and likeable, popular with everyone, a "
    "blessing, safe and dependable, irresistible, fabulous, a dream come true, a wise purchase, worthy of a "
    "prize, stunning, graceful, heavenly, pure perfection, top quality, greatly valued, a happy discovery, "
    "an absolute bargain, enchanting, phenomenal, truly special, very well received, second to none, a huge "
    "improvement, enormous fun, worth keeping forever"
)

COMPLAINT = (
    "absolutely dreadful, a terrible disappointment, a complete waste of money, badly made, a total "
    "failure, all wrong, the worst thing all year, simply awful, truly horrible, far worse than expected, a "
    "nasty surprise, quite pathetic, annoying in every way, a real nuisance, unsuitable for the occasion, "
    "thoroughly unpleasant, hated by everybody, useless and silly, a pain to have around, rotten, "
    "defective, worthless, third rate, disgraceful, a stupid mistake, deeply frustrating, loathed by the "
    "whole family, very poor value, something to be ashamed of, not recommended at all, an unwelcome "
    "change, ghastly, revolting, hideous, abysmal, a disaster, lousy, tedious from start to finish, the "
    "last thing they needed, a disgrace to its maker, an unwanted gift, rather depressing, very much "
    "resented, in terrible condition, inferior to any other, a foolish choice, a misery to look after, "
    "neglected for years, condemned by the experts, unreliable and flimsy, a rip-off, ugly, miserable, full "
    "of faults, damaged beyond repair, an unlucky purchase, the shame of the house, a source of constant "
    "trouble, repulsive, shocking in the worst sense, utterly useless, a clear loser, the dread of the "
    "children, carelessly broken, nothing like the advertisement, upsetting, appalling, astonishingly bad, "
    "an embarrassment, tasteless, of the lowest quality, irritating and hateful, despised by everyone, a "
    "curse, unsafe and faulty, unbearable, atrocious, a nightmare, a regrettable purchase, fit for the "
    "rubbish heap, disgusting, clumsy, hellish, pure rubbish, bottom of the range, deeply disliked, a sad "
    "discovery, an absolute swindle, infuriating, deplorable, truly shabby, very badly received, a poor "
    "imitation, a step backwards, no fun whatsoever, worth throwing away"
)


def phrases(listed: str) -> tuple[str, ...]:
    """Return the phrases of one of the lists above, in order."""
    return tuple(phrase.strip() for phrase in listed.split(","))
