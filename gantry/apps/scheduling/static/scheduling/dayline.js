// Drags a visit along the timeline, or to another scanner's lane. On release it fills the form beside it and tries the
// change there: the server judges it, and whoever cannot drag types the same three fields.
const svg = document.querySelector('.dayline svg');
const form = document.querySelector('form[data-try]');

function unitsPerPixel() {
  return svg.viewBox.baseVal.width / svg.getBoundingClientRect().width;
}

function laneAt(x, y) {
  const lane = document.elementsFromPoint(x, y).find((each) => each.classList.contains('dayline__room'));
  return lane ? lane.dataset.scanner : null;
}

function clock(minute) {
  const within = Math.min(Math.max(minute, 0), 24 * 60 - 1);
  return `${String(Math.floor(within / 60)).padStart(2, '0')}:${String(within % 60).padStart(2, '0')}`;
}

function dragging(visit, start) {
  const perMinute = Number(svg.dataset.perMinute);
  const grid = Math.max(5, Number(svg.dataset.grid));
  let moved = { minutes: 0, scanner: visit.dataset.scanner };

  function move(event) {
    const minutes = Math.round(((event.clientX - start.clientX) * unitsPerPixel()) / perMinute / grid) * grid;
    const down = (event.clientY - start.clientY) * unitsPerPixel();
    visit.setAttribute('transform', `translate(${minutes * perMinute} ${down})`);
    moved = { minutes, scanner: laneAt(event.clientX, event.clientY) || visit.dataset.scanner };
  }

  function stop() {
    visit.removeEventListener('pointermove', move);
    visit.classList.remove('dayline__visit--held');
  }

  function drop() {
    stop();
    if (moved.minutes === 0 && moved.scanner === visit.dataset.scanner) {
      visit.removeAttribute('transform');
      return;
    }
    form.elements['change-appointment'].value = visit.dataset.appointment;
    form.elements['change-arrival'].value = clock(Number(visit.dataset.arrival) + moved.minutes);
    form.elements['change-scanner'].value = moved.scanner;
    form.requestSubmit();
  }

  function cancel() {
    stop();
    visit.removeAttribute('transform');
  }

  visit.classList.add('dayline__visit--held');
  visit.addEventListener('pointermove', move);
  visit.addEventListener('pointerup', drop, { once: true });
  visit.addEventListener('pointercancel', cancel, { once: true });
}

if (svg && form) {
  for (const visit of svg.querySelectorAll('.dayline__visit')) {
    visit.addEventListener('pointerdown', (event) => {
      event.preventDefault();
      visit.setPointerCapture(event.pointerId);
      dragging(visit, event);
    });
  }
}
