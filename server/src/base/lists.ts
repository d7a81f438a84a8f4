/**
 * How a fold makes the next list of the one before: by a copy, or in place where nobody else can have seen the list.
 *
 * Not here: what is in the lists. Easily got wrong: a fold of many events with copies costs the square of their number; a
 * list may be changed in place only by the fold that made it, and only until that fold gives its result away.
 */

/** Makes lists of lists. */
export interface Lists {
  append<Item>(list: readonly Item[], ...items: readonly Item[]): readonly Item[];
  /** The list with another item at a place that it has. */
  replace<Item>(list: readonly Item[], at: number, item: Item): readonly Item[];
}

/** For one fold: each list is copied when it is first changed, and from then on changed in place. */
export function createOwnLists(): Lists {
  const own = new WeakSet<object>();
  const owned = <Item>(list: readonly Item[]): Item[] => {
    if (own.has(list)) return list as Item[];
    const copy = [...list];
    own.add(copy);
    return copy;
  };
  return {
    append: (list, ...items) => {
      if (items.length === 0) return list;
      const next = owned(list);
      for (const item of items) next.push(item);
      return next;
    },
    replace: (list, at, item) => {
      const next = owned(list);
      next[at] = item;
      return next;
    },
  };
}
