// All script of the page; nothing that it adds is needed to read the page or to get help. `script()` in page.rs sends it
// without these comments, and without spaces that mean nothing.
{
  const D = document, one = (what) => D.querySelector(what);
  const date = (at, form) => new Intl.DateTimeFormat(D.documentElement.lang, form).format(at);

  // Copies the text for a ticket, where there is a clipboard.
  const copy = one('#copy'), board = navigator.clipboard;
  if (copy && board) {
    copy.hidden = 0;
    copy.onclick = () => board.writeText(one('#text').textContent).then(() => one('#said').textContent = copy.dataset.done);
  }

  // The reader's own time before that of UTC.
  for (const time of D.querySelectorAll('time')) {
    const at = new Date(time.dateTime);
    if (at.getTimezoneOffset()) time.prepend(date(at, { dateStyle: 'medium', timeStyle: 'short' }), ' · ');
  }

  // Opens the app when it may. `#live` has the sealed handle, `#done` what is shown then.
  const live = one('#live'), done = one('#done');
  if (live && done) {
    const url = '/.portcullis/wait?' + live.dataset.wait;
    let stream, timer, over, tries = 0, strange = 0;
    const later = (ms, what) => { clearTimeout(timer); timer = setTimeout(what, ms); };

    const comeIn = () => {
      D.title = done.dataset.title;
      // What somebody is copying stays.
      if (getSelection() + '') return later(500, comeIn);
      one('main').replaceChildren(done.content);
      const stay = one('#stay');
      stay.onclick = () => { clearTimeout(timer); stay.remove(); };
      later(800, () => {
        try { sessionStorage.portcullis = [Date.now(), tries + 1]; } catch {}
        location.reload();
      });
    };
    const answer = (said) => {
      if (over) return;
      over = said == 'come-in';
      if (over) return stream && stream.close(), comeIn();
      live.lastElementChild.textContent = live.dataset.still.replace('{time}', date(new Date, { timeStyle: 'short' }));
      // Said once: that time moves on is no news.
      live.ariaLive = 'off';
    };

    // Without a stream. Whoever is not known may have a new cookie in a moment, and is asked for it three times more.
    const poll = async () => {
      try {
        const got = await fetch(url);
        strange = got.ok || got.status > 404 ? 0 : strange + 1;
        if (got.ok) answer(await got.text());
      } catch {}
      if (!over && strange < 4) later(D.hidden ? 3e4 : 5e3, poll);
    };
    // With a stream, while somebody looks. It says something every ten seconds, or is dead.
    const ask = () => {
      if (stream) stream.close();
      if (D.hidden) return later(3e4, poll);
      stream = new EventSource(url);
      stream.onmessage = (event) => { later(25e3, ask); answer(event.data); };
      stream.onerror = () => stream.readyState > 1 && later(1e3, poll);
      later(8e3, poll);
    };

    // Who went in and is refused again waits twice as long each time.
    try {
      const [at, before] = sessionStorage.portcullis.split(',');
      if (Date.now() - at < 3e5) tries = Math.min(before, 6);
    } catch {}
    const begin = () => over || later(tries && 1e3 * 2 ** tries, ask);
    live.hidden = 0;
    begin();
    for (const change of ['focus', 'online', 'visibilitychange']) addEventListener(change, begin);
  }
}
