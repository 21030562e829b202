"""Questions that only look alike: a cache that gives one the answer of the other is wrong.

Case, inner punctuation, signs, numbers, dates, names, negation and word order carry meaning. For
tests of what somebody puts in front of a mesh, as well as for this project's own.
"""

# ruff: noqa: RUF001 - signs that look alike are the matter of this file

from __future__ import annotations

NEAR_MISSES: tuple[tuple[str, str], ...] = (
    ("Is C a good language", "Is C++ a good language"),
    ("Is C a good language", "Is C# a good language"),
    ("What is C++", "What is c++"),
    ("What does -5 mean", "What does 5 mean"),
    ("What does −5 mean", "What does 5 mean"),
    ("What does −5 mean", "What does -5 mean"),
    ("Tell US about it", "Tell us about it"),
    ("Is it IT", "Is it it"),
    ("Who is WHO", "Who is who"),
    ("May we sail in May", "may we sail in may"),
    ("Is 1.5 enough", "Is 15 enough"),
    ("Is 1.5 enough", "Is 1,5 enough"),
    ("Is 1.5 enough", "Is 1.50 enough"),
    ("Is 1 000 enough", "Is 1000 enough"),
    ("Is 10 enough", "Is 100 enough"),
    ("Is 0.1 enough", "Is .1 enough"),
    ("What happened on 2024-01-02", "What happened on 2024-02-01"),
    ("What happened on 1/2/2024", "What happened on 2/1/2024"),
    ("What happened in 2024", "What happened in 2025"),
    ("Who came at 9:30", "Who came at 930"),
    ("Is Anna Schmidt on duty", "Is Anna Schmitt on duty"),
    ("Is Anna-Lena on duty", "Is Anna Lena on duty"),
    ("Is Müller on duty", "Is Muller on duty"),
    ("Is Müller on duty", "Is Mueller on duty"),
    ("Did Tom pay Ann", "Did Ann pay Tom"),
    ("May I take my dog", "May I not take my dog"),
    ("Is it allowed", "Isn't it allowed"),
    ("Can I bring a pet", "Can't I bring a pet"),
    ("Is it possible", "Is it impossible"),
    ("Do I have to pay", "I have to pay"),
    ("What is x^2", "What is x2"),
    ("What is x²", "What is x2"),
    ("What is a/b", "What is ab"),
    ("What is a<b", "What is a>b"),
    ("What is a&b", "What is a|b"),
    ("What is foo_bar", "What is foo bar"),
    ("What is .NET", "What is NET"),
    ("What is node.js", "What is nodejs"),
    ("What costs $5", "What costs €5"),
    ("What costs 5 %", "What costs 5 ‰"),
    ("Is 5 km far", "Is 5 m far"),
    ("Is 5 mW much", "Is 5 MW much"),
    ("Is it (safe) here", "Is it safe here"),
    ('Is it "safe" here', "Is it safe here"),
    ("Let's eat, Grandma", "Let's eat Grandma"),
    ("Is it so?! Really", "Is it so. Really"),
    ("Straße or not", "Strasse or not"),
    ("What is the ﬁle", "What is the file"),
)
