// Beginnings and few-shot prompts, each with the settings that suit it. Settings that are not named go back to the page's own.

export const GALLERY = [
  {
    name: 'Code',
    about: 'A comment and a signature: it writes the body.',
    text: `/** Returns the largest of the given numbers; there must be one at least. */
public static int max(int... numbers) {
  int largest = numbers[0];
`,
    settings: {temperature: '0.3', max_tokens: '80', font: 'code', stop_strings: '\\n}\\n'},
  },
  {
    name: 'Poem',
    about: 'Two stanzas set the metre, it goes on.',
    text: `The Ferryman

The river keeps no book of names,
it carries all alike,
the barge with coal, the leaf in flames
of autumn past the dike.

I row the ones who have to cross,
I ask them for no fare;
`,
    settings: {temperature: '0.9', top_p: '0.95', max_tokens: '120', font: 'book'},
  },
  {
    name: 'News',
    about: 'A headline and a place are a genre already.',
    text: `TOWN LIBRARY REOPENS AFTER FLOOD

RIVERTON, Tuesday. The town library opened its doors again this morning, five months after the river rose into its reading room. Volunteers had dried`,
    settings: {temperature: '0.8', top_p: '0.95', max_tokens: '150', font: 'book'},
  },
  {
    name: 'Question and answer',
    about: 'Three answered questions show the form; the fourth is left to it.',
    text: `Q: Which planet is nearest to the sun?
A: Mercury.

Q: How many legs has a spider?
A: Eight.

Q: What do bees make?
A: Honey.

Q: What is the capital of France?
A:`,
    settings: {temperature: '0', max_tokens: '20', font: 'book', stop_strings: '\\nQ:'},
  },
  {
    name: 'Translation table',
    about: 'Pairs in two columns: it fills in the last one.',
    text: `English | French
the house | la maison
a red apple | une pomme rouge
good evening | bonsoir
where is the station? | où est la gare ?
the black cat |`,
    settings: {temperature: '0', max_tokens: '12', font: 'code', stop_strings: '\\n'},
  },
  {
    name: 'List',
    about: 'A list that has begun wants to go on.',
    text: `Ten things to take on a winter walk:

1. A flask of tea, filled to the brim.
2. Gloves, and a second pair for when the first is wet.
3. A map on paper, since batteries dislike the cold.
4.`,
    settings: {temperature: '0.8', max_tokens: '150', font: 'book', stop_strings: '\\n11.'},
  },
  {
    name: 'Dialogue',
    about: 'Two voices and a scene, as in a play.',
    text: `A lighthouse at night. MARA, the keeper, mends a net. TOM comes in, wet to the skin.

TOM: The lamp is out.
MARA: The lamp is never out. You looked on the wrong side.
TOM: I walked all around it.
MARA:`,
    settings: {temperature: '0.9', top_p: '0.95', max_tokens: '120', font: 'book'},
  },
  {
    name: 'Sorting by example',
    about: 'A classifier without training: labels follow from the examples.',
    text: `Review: The soup was cold and the waiter colder.
Mood: bad

Review: We stayed until they closed, and came back the next day.
Mood: good

Review: Two hours for a sandwich. Never again.
Mood: bad

Review: My children still talk about the pancakes.
Mood:`,
    settings: {temperature: '0', max_tokens: '4', font: 'book', stop_strings: '\\n'},
  },
];
