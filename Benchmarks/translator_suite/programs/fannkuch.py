"""The most flips that any order of N things needs until the first is at the front."""
from itertools import permutations


def flips(order):
    count = 0
    order = list(order)
    while order[0]:
        first = order[0]
        order[:first + 1] = order[first::-1]
        count += 1
    return count


print(max(flips(order) for order in permutations(range(8))))
