"""Stop words: words so common that they say little of what a text is about.

The lists are our own and short: articles, pronouns, prepositions, conjunctions and auxiliary verbs
that most texts on any subject contain. A negation ("not", "no", 不, 没) is not in them, because it
turns a sentence over; nor is a word for a quantity. Leaving stop words out helps where texts are
counted as bags of words; a model that reads in order (recurrent, attention) needs them.

Chinese text is cut into characters here (cleaning.py), so its list has single characters only. A
character goes wherever it stands, also inside a longer word: 目的 loses its 的.

Used by     cleaning.py
"""

ENGLISH = frozenset("""
    a an the this that these those
    i me my mine we us our ours you your yours he him his she her hers it its they them their theirs
    myself ourselves yourself himself herself itself themselves who whom whose which what
    am is are was were be been being have has had having do does did doing
    will would shall should can could may might must
    and or if because as while than so then
    of at by for with about into through during before after above below to from in on
    there here when where how
    i'm you're he's she's it's we're they're i've you've we've they've i'll you'll we'll they'll
""".split())

CHINESE = frozenset("""
    的 地 得 了 着 过 是 在 有 和 与 及 或 而 且 但 因 所 以 于
    也 就 都 又 还 很 这 那 哪 其 之 者 我 你 您 他 她 它 们
    个 把 被 让 给 对 从 向 到 为 由 吗 呢 吧 啊 呀
""".split())

LISTS = {"en": ENGLISH, "zh": CHINESE}
