// white-space.ts: what C's isspace() takes for white space, which is less than JavaScript's \s.
// A no-break space is a letter to libpq.

export function isSpace(character: string | undefined): boolean {
  return character !== undefined && character !== '' && ' \t\n\v\f\r'.includes(character);
}

export function trimSpace(text: string): string {
  let start = 0;
  let end = text.length;
  while (isSpace(text[end - 1]) && end > start) end--;
  while (isSpace(text[start]) && start < end) start++;
  return text.slice(start, end);
}
