// All script of the page; nothing that it adds is needed to read the page or to get help. `script.rs` sends it without these
// comments and without spaces that mean nothing; names are short because each page carries them.
{
  const D = document, $ = s => D.querySelector(s), now = Date.now, copy = $('#copy'), board = navigator.clipboard;
  const write = (at, form) => new Date(at).toLocaleString(D.documentElement.lang, form);

  // Copies the text for a ticket, where there is a clipboard.
  if (copy && board) {
    copy.hidden = 0;
    copy.onclick = () => board.writeText($('#text').textContent).then(() => $('#said').textContent = copy.dataset.done);
  }

  // The reader's own time before that of UTC.
  for (const t of D.querySelectorAll('time')) {
    const at = new Date(t.dateTime);
    if (at.getTimezoneOffset()) t.prepend(write(at, { dateStyle: 'medium', timeStyle: 'short' }), ' · ');
  }

  // Opens the app when it may: where there is `#live` there is `#done`, which is shown then. `#live` has the sealed handle, or else the
  // form that reports.
  const live = $('#live'), done = $('#done');
  if (live) {
    const { wait, still } = live.dataset, url = '/.portcullis/wait?' + (wait || D.forms[0].action.split('?')[1]);
    let stream, timer, over, tries = 0, odd = 0;
    const later = (ms, what) => { clearTimeout(timer); timer = setTimeout(what, ms); };

    const open = () => {
      D.title = done.dataset.title;
      // What somebody is copying stays.
      if (getSelection() + '') return later(500, open);
      $('main').replaceChildren(done.content);
      $('#stay').onclick = e => { clearTimeout(timer); e.target.remove(); };
      later(800, () => {
        try { sessionStorage.portcullis = [now(), tries + 1]; } catch {}
        location.reload();
      });
    };
    const told = text => {
      if (over) return;
      over = text == 'come-in';
      if (over) return stream?.close(), open();
      live.lastElementChild.textContent = still.replace('{time}', write(now(), { timeStyle: 'short' }));
      // Said once: that time moves on is no news.
      live.ariaLive = 'off';
    };

    // Without a stream. Whoever is not known may have a new cookie in a moment, and is asked for it three times more.
    const poll = async () => {
      try {
        const got = await fetch(url);
        odd = got.ok || got.status > 404 ? 0 : odd + 1;
        if (got.ok) told(await got.text());
      } catch {}
      if (!over && odd < 4) later(D.hidden ? 3e4 : 5e3, poll);
    };
    // With a stream, while somebody looks. It says something every ten seconds, or is dead.
    const ask = () => {
      stream?.close();
      if (D.hidden) return later(3e4, poll);
      stream = new EventSource(url);
      stream.onmessage = e => { later(25e3, ask); told(e.data); };
      stream.onerror = () => stream.readyState > 1 && later(1e3, poll);
      later(8e3, poll);
    };

    // Who went in and is refused again waits twice as long each time.
    try {
      const [at, n] = sessionStorage.portcullis.split(',');
      if (now() - at < 3e5) tries = Math.min(n, 6);
    } catch {}
    const begin = () => over || later(tries && 1e3 * 2 ** tries, ask);
    live.hidden = 0;
    begin();
    for (const e of ['focus', 'online', 'visibilitychange']) addEventListener(e, begin);
  }
}
