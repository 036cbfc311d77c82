'use strict';
const data = JSON.parse(document.getElementById('examples').textContent);
const task = document.getElementById('task');
const filter = document.getElementById('filter');
const list = document.getElementById('list');
const count = document.getElementById('count');
const models = data.models;

function element(name, text, type) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (type) made.className = type;
  return made;
}

function isRight(answer) {
  return answer && answer.value === 1;
}

const filters = {
  all: ['all', () => true],
  right: [models[0] + ': right', e => isRight(e.answers[0])],
  wrong: [models[0] + ': wrong', e => e.answers[0] && !isRight(e.answers[0])],
};
if (models.length === 2) {
  filters.right2 = [models[1] + ': right', e => isRight(e.answers[1])];
  filters.wrong2 = [models[1] + ': wrong', e => e.answers[1] && !isRight(e.answers[1])];
  filters.differs = ['the two differ', e => e.answers[0] && e.answers[1] && e.answers[0].value !== e.answers[1].value];
}

function shown(example) {
  const article = element('article');
  article.append(element('h3', 'document ' + example.number));
  article.append(element('pre', example.prompt));
  if (example.target) article.append(element('p', 'target: ' + example.target));
  example.answers.forEach((answer, i) => {
    if (!answer) return;
    const right = answer.value === 1 ? 'right' : answer.value === 0 ? 'wrong' : '';
    article.append(element('p', models[i] + ': ' + (right || answer.value), right));
    if (example.choices.length === answer.responses.length && example.choices.length > 0) {
      const table = element('table');
      const body = element('tbody');
      const best = answer.scores ? Math.max(...answer.scores) : NaN;
      example.choices.forEach((choice, k) => {
        const row = element('tr', undefined, answer.scores && answer.scores[k] === best ? 'chosen' : '');
        row.append(element('td', choice), element('td', answer.responses[k], 'number'));
        body.append(row);
      });
      table.append(body);
      article.append(table);
    } else {
      answer.responses.forEach(response => article.append(element('pre', response)));
    }
  });
  return article;
}

function show() {
  const chosen = data.tasks[task.value];
  const passes = filters[filter.value][1];
  const left = chosen.examples.filter(passes);
  list.replaceChildren(...left.map(shown));
  count.textContent = left.length + ' of ' + chosen.examples.length + ' documents, by ' + chosen.metric +
    (chosen.all > chosen.examples.length ? '; the page has the first ' + chosen.examples.length + ' of ' + chosen.all : '');
}

data.tasks.forEach((each, i) => task.append(new Option(each.task, i)));
Object.entries(filters).forEach(([key, [name]]) => filter.append(new Option(name, key)));
task.addEventListener('change', show);
filter.addEventListener('change', show);
if (data.tasks.length > 0) show();
