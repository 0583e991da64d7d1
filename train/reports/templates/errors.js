(() => {
  const cards = [...document.querySelectorAll('.error')], form = document.querySelector('.filters');
  const count = document.querySelector('#count'), none = document.querySelector('#none');
  let shown = cards, at = -1;
  const fits = (card, wanted) => wanted.every(([name, value]) => {
    if (name === 'least') return +card.dataset.sure >= +value;
    if (name === 'most') return +card.dataset.sure <= +value;
    if (name === 'slice') return card.dataset.slices.split('\n').includes(value);
    return card.dataset[name] === value;
  });
  const filter = () => {
    const wanted = [...new FormData(form)].filter(([, value]) => value !== '');
    shown = cards.filter(card => { const fit = fits(card, wanted); card.hidden = !fit; return fit; });
    count.textContent = `${shown.length} of ${cards.length}`;
    none.hidden = shown.length > 0;
    mark(-1);
  };
  const mark = place => {
    if (shown[at]) shown[at].classList.remove('current');
    document.querySelectorAll('.error.current').forEach(card => card.classList.remove('current'));
    at = place;
    if (!shown[at]) return;
    shown[at].classList.add('current');
    shown[at].scrollIntoView({block: 'start'});
    shown[at].focus({preventScroll: true});
    count.textContent = `${at + 1}: ${shown.length} of ${cards.length}`;
  };
  const step = by => mark(Math.max(0, Math.min(shown.length - 1, at + by)));
  form.addEventListener('input', filter);
  form.addEventListener('submit', event => event.preventDefault());
  form.addEventListener('reset', () => setTimeout(filter));
  document.querySelector('#next').addEventListener('click', () => step(1));
  document.querySelector('#previous').addEventListener('click', () => step(-1));
  document.addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey || (event.target.tagName === 'SELECT' || event.target.type === 'number')) return;
    if (event.key === 'j' || event.key === 'n') step(1);
    if (event.key === 'k' || event.key === 'p') step(-1);
  });
  filter();
})();
