/* Charts of the platform: candlesticks with volume, equity curves, results of periods.
 *
 * <div data-chart="kline|equity|periods" data-url="…"> asks its URL for JSON, or reads it from the
 * element that data-source names; its `labels` carry the words to show, in the reader's language. A [data-chart-for="id"] element chooses what
 * the chart with that id shows: a select or button holds the new URL in its value or data-url.
 */
"use strict";

(() => {
  const charts = new Map();

  function cssColor(name) {
    // The chart library parses rgb() only, so the browser converts whatever the theme uses.
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 1;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    context.fillRect(0, 0, 1, 1);
    const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
    return (alpha = 1) => `rgba(${red}, ${green}, ${blue}, ${alpha})`;
  }

  function palette() {
    const dark = document.documentElement.classList.contains("dark");
    const shade = dark ? "400" : "600";
    return {
      text: cssColor(dark ? "--color-base-400" : "--color-base-500")(),
      grid: cssColor(dark ? "--color-base-800" : "--color-base-100")(),
      border: cssColor(dark ? "--color-base-700" : "--color-base-200")(),
      rise: cssColor(`--color-rise-${shade}`),
      fall: cssColor(`--color-fall-${shade}`),
      shade: cssColor(dark ? "--color-base-500" : "--color-base-400")(0.22),
      accent: cssColor(`--color-primary-${dark ? "400" : "600"}`),
      averages: dark ? ["#fbbf24", "#60a5fa", "#c084fc"] : ["#b45309", "#2563eb", "#9333ea"],
    };
  }

  function options(colors, zooms) {
    return {
      autoSize: true,
      layout: {
        background: { color: "transparent" },
        textColor: colors.text,
        fontFamily: getComputedStyle(document.body).fontFamily,
        panes: { separatorColor: colors.border },
      },
      grid: { vertLines: { color: colors.grid }, horzLines: { color: colors.grid } },
      rightPriceScale: { borderColor: colors.border },
      timeScale: { borderColor: colors.border, rightOffset: 2, minBarSpacing: 0.2 },
      crosshair: { mode: LightweightCharts.CrosshairMode.Normal },
      localization: { locale: document.documentElement.lang, dateFormat: "yyyy-MM-dd" },
      handleScroll: { vertTouchDrag: false },
      // A page of many panels scrolls past its charts; only a page about one chart zooms by wheel.
      handleScale: { mouseWheel: zooms },
    };
  }

  function number(value, digits) {
    return value.toLocaleString("en-US", {
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    });
  }

  function average(bars, days) {
    let sum = 0;
    const points = [];
    bars.forEach((bar, index) => {
      sum += bar.close;
      if (index >= days) sum -= bars[index - days].close;
      if (index >= days - 1) points.push({ time: bar.time, value: sum / days });
    });
    return points;
  }

  function pair(name, value, tone) {
    const part = document.createElement("span");
    part.className = "sq-legend-pair";
    const label = document.createElement("span");
    label.textContent = name;
    const figure = document.createElement("b");
    figure.textContent = value;
    if (tone) figure.className = tone;
    part.append(label, figure);
    return part;
  }

  function tone(change) {
    if (change > 0) return "sq-rise";
    return change < 0 ? "sq-fall" : "";
  }

  function percent(part, whole) {
    if (!whole) return "";
    const value = (part / whole) * 100;
    return `${value > 0 ? "+" : ""}${number(value, 2)}%`;
  }

  function markShape(mark) {
    if (!mark.is_fill) return "circle";
    return mark.side === "buy" ? "arrowUp" : "arrowDown";
  }

  function averagePair(name, average, time, color) {
    const value = average.get(time);
    const part = pair(name, value === undefined ? "–" : number(value, 2));
    part.style.color = color;
    part.lastChild.style.color = color;
    return part;
  }

  function klineLegend(legend, bars, labels, averages, index) {
    const bar = bars[index];
    const before = index > 0 ? bars[index - 1].close : bar.open;
    const change = bar.close - before;
    legend.replaceChildren(
      pair(bar.time, ""),
      pair(labels.open, number(bar.open, 2), tone(bar.open - before)),
      pair(labels.high, number(bar.high, 2), tone(bar.high - before)),
      pair(labels.low, number(bar.low, 2), tone(bar.low - before)),
      pair(labels.close, number(bar.close, 2), tone(change)),
      pair(labels.change, percent(change, before), tone(change)),
      bar.volume === 0
        ? pair(labels.suspended, "")
        : pair(labels.volume, number(bar.volume / 100, 0)),
      ...averages.map(({ days, points, color }) =>
        averagePair(`${labels.average}${days}`, points, bar.time, color),
      ),
    );
  }

  function drawKline(holder, data, colors) {
    const chart = LightweightCharts.createChart(holder.canvas, options(colors, holder.zooms));
    const { bars, marks, labels } = data;
    const candles = chart.addSeries(LightweightCharts.CandlestickSeries, {
      upColor: colors.rise(),
      borderUpColor: colors.rise(),
      wickUpColor: colors.rise(),
      downColor: colors.fall(),
      borderDownColor: colors.fall(),
      wickDownColor: colors.fall(),
      priceLineVisible: false,
    });
    // Days without a bar keep their place, so that a gap looks like one.
    const all = [...bars, ...data.gaps.map((time) => ({ time, missing: true }))].sort((one, other) =>
      one.time < other.time ? -1 : 1,
    );
    candles.setData(all.map((bar) => (bar.missing ? { time: bar.time } : bar)));
    const shade = chart.addSeries(LightweightCharts.HistogramSeries, {
      priceScaleId: "shade",
      color: colors.shade,
      priceLineVisible: false,
      lastValueVisible: false,
    });
    shade.priceScale().applyOptions({ scaleMargins: { top: 0, bottom: 0 } });
    shade.setData(
      all
        .filter((bar) => bar.missing || bar.volume === 0)
        .map(({ time }) => ({ time, value: 1 })),
    );
    candles.priceScale().applyOptions({ scaleMargins: { top: 0.06, bottom: 0.24 } });
    const averages = data.averages.map((days, index) => {
      const color = colors.averages[index % colors.averages.length];
      const line = chart.addSeries(LightweightCharts.LineSeries, {
        color,
        lineWidth: 1,
        priceLineVisible: false,
        lastValueVisible: false,
        crosshairMarkerVisible: false,
      });
      const points = average(bars, days);
      line.setData(points);
      return { days, color, points: new Map(points.map(({ time, value }) => [time, value])) };
    });
    const volume = chart.addSeries(LightweightCharts.HistogramSeries, {
      priceScaleId: "volume",
      priceFormat: { type: "volume" },
      priceLineVisible: false,
      lastValueVisible: false,
    });
    volume.priceScale().applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });
    volume.setData(
      bars.map((bar) => ({
        time: bar.time,
        value: bar.volume,
        color: (bar.close >= bar.open ? colors.rise : colors.fall)(0.45),
      })),
    );
    LightweightCharts.createSeriesMarkers(
      candles,
      marks.map((mark) => ({
        time: mark.time,
        position: mark.side === "buy" ? "belowBar" : "aboveBar",
        shape: markShape(mark),
        color: (mark.side === "buy" ? colors.rise : colors.fall)(),
        text: mark.text,
      })),
    );
    // A narrow screen shows fewer bars at once, so that each can be told from the next.
    const visible = holder.canvas.clientWidth < 480 ? data.visible_bars / 2 : data.visible_bars;
    chart.timeScale().setVisibleLogicalRange({
      from: Math.max(0, all.length - visible),
      to: all.length + 1,
    });
    const places = new Map(bars.map((bar, index) => [bar.time, index]));
    const missing = new Set(data.gaps);
    const show = (time) => {
      if (missing.has(time)) {
        holder.legend.replaceChildren(pair(time, labels.missing));
        return;
      }
      klineLegend(holder.legend, bars, labels, averages, places.get(time) ?? bars.length - 1);
    };
    chart.subscribeCrosshairMove((move) => show(move.time));
    show();
    return chart;
  }

  function drawEquity(holder, data, colors) {
    const chart = LightweightCharts.createChart(holder.canvas, options(colors, holder.zooms));
    const { points, labels } = data;
    const area = chart.addSeries(LightweightCharts.AreaSeries, {
      lineColor: colors.accent(),
      topColor: colors.accent(0.32),
      bottomColor: colors.accent(0.02),
      lineWidth: 2,
      priceLineVisible: false,
      priceFormat: { type: "custom", minMove: 0.01, formatter: (value) => number(value, 0) },
    });
    area.setData(points.map(({ time, value }) => ({ time, value })));
    const start = chart.addSeries(LightweightCharts.LineSeries, {
      color: colors.text,
      lineWidth: 1,
      lineStyle: LightweightCharts.LineStyle.Dashed,
      // An account that joins lifts the line at once.
      lineType: LightweightCharts.LineType.WithSteps,
      priceLineVisible: false,
      lastValueVisible: false,
      crosshairMarkerVisible: false,
    });
    start.setData(points.map((point) => ({ time: point.time, value: point.start })));
    chart.timeScale().fitContent();
    const places = new Map(points.map((point, index) => [point.time, index]));
    const show = (time) => {
      const point = points[places.get(time) ?? points.length - 1];
      const gain = point.value - point.start;
      holder.legend.replaceChildren(
        pair(point.time, ""),
        pair(labels.total_assets, number(point.value, 2)),
        pair(labels.initial_capital, number(point.start, 2)),
        pair(labels.since_start, percent(gain, point.start), tone(gain)),
      );
    };
    chart.subscribeCrosshairMove((move) => show(move.time));
    show();
    return chart;
  }

  function drawPeriods(holder, data, colors) {
    const chart = LightweightCharts.createChart(holder.canvas, options(colors, holder.zooms));
    const { periods, labels } = data;
    const priceFormat = { type: "custom", minMove: 0.01, formatter: (value) => number(value, 0) };
    const net = chart.addSeries(LightweightCharts.HistogramSeries, {
      priceLineVisible: false,
      lastValueVisible: false,
      priceFormat,
    });
    net.setData(
      periods.map((one) => ({
        time: one.time,
        value: one.net,
        color: (one.net >= 0 ? colors.rise : colors.fall)(0.85),
      })),
    );
    const running = chart.addSeries(LightweightCharts.LineSeries, {
      color: colors.accent(),
      lineWidth: 2,
      priceLineVisible: false,
      priceFormat,
    });
    running.setData(periods.map((one) => ({ time: one.time, value: one.running })));
    const turnover = chart.addSeries(
      LightweightCharts.HistogramSeries,
      { color: colors.accent(0.35), priceLineVisible: false, lastValueVisible: false, priceFormat },
      1,
    );
    turnover.setData(periods.map((one) => ({ time: one.time, value: one.turnover })));
    chart.panes()[0].setStretchFactor(3);
    chart.panes()[1].setStretchFactor(1);
    chart.timeScale().fitContent();
    const places = new Map(periods.map((one, index) => [one.time, index]));
    const show = (time) => {
      const one = periods[places.get(time) ?? periods.length - 1];
      holder.legend.replaceChildren(
        pair(one.label, ""),
        pair(labels.net, number(one.net, 2), tone(one.net)),
        pair(labels.running, number(one.running, 2), tone(one.running)),
        pair(labels.turnover, number(one.turnover, 2)),
      );
    };
    chart.subscribeCrosshairMove((move) => show(move.time));
    show();
    return chart;
  }

  const draw = { kline: drawKline, equity: drawEquity, periods: drawPeriods };

  function message(element, text) {
    const note = document.createElement("p");
    note.className = "sq-chart-note";
    note.textContent = text;
    element.replaceChildren(note);
  }

  function clear(element) {
    charts.get(element)?.chart.remove();
    charts.delete(element);
  }

  function paint(element, data) {
    clear(element);
    if (data.message) {
      message(element, data.message);
      return;
    }
    const holder = {
      legend: document.createElement("div"),
      canvas: document.createElement("div"),
      zooms: "zoom" in element.dataset,
    };
    holder.legend.className = "sq-legend";
    holder.canvas.className = "sq-canvas";
    element.replaceChildren(holder.legend, holder.canvas);
    charts.set(element, { chart: draw[element.dataset.chart](holder, data, palette()), data });
    element.dataset.state = "drawn";
  }

  async function load(element) {
    const { source, url } = element.dataset;
    if (source) {
      paint(element, JSON.parse(document.getElementById(source).textContent));
      return;
    }
    element.dataset.state = "loading";
    try {
      const answer = await fetch(url, { headers: { Accept: "application/json" } });
      const data = answer.ok ? await answer.json() : { message: element.dataset.failed };
      // A slow answer must not replace the chart chosen after it.
      if (element.dataset.url === url) paint(element, data);
    } catch {
      if (element.dataset.url === url) message(element, element.dataset.failed);
    }
  }

  function choose(control) {
    const element = document.getElementById(control.dataset.chartFor);
    element.dataset.url = control.dataset.url ?? control.value;
    document
      .querySelectorAll(`button[data-chart-for="${element.id}"]`)
      .forEach((button) => button.setAttribute("aria-pressed", String(button === control)));
    load(element);
  }

  function repaint() {
    [...charts].forEach(([element, { data }]) => paint(element, data));
  }

  /* An input with data-suggest offers what its URL finds for the text typed so far. */
  function suggest(input) {
    const list = document.createElement("datalist");
    list.id = `${input.id}_found`;
    input.after(list);
    input.setAttribute("list", list.id);
    let waiting = 0;
    const ask = async () => {
      const text = input.value;
      const answer = await fetch(`${input.dataset.suggest}?q=${encodeURIComponent(text)}`);
      if (!answer.ok || text !== input.value) return;
      const { found } = await answer.json();
      list.replaceChildren(
        ...found.map(({ value, label }) => {
          const option = document.createElement("option");
          option.value = value;
          if (label) option.textContent = `${value} ${label}`;
          return option;
        }),
      );
    };
    const askSoon = () => {
      clearTimeout(waiting);
      // Whoever is still typing gets no answer that is old before it arrives.
      waiting = setTimeout(() => ask().catch(() => list.replaceChildren()), 150);
    };
    input.addEventListener("input", askSoon);
    input.addEventListener("focus", askSoon, { once: true });
  }

  window.addEventListener("load", () => {
    document.querySelectorAll("input[data-suggest]").forEach(suggest);
    document.querySelectorAll("[data-chart]").forEach(load);
    document.querySelectorAll("select[data-chart-for]").forEach((select) => {
      select.addEventListener("change", () => choose(select));
    });
    document.querySelectorAll("button[data-chart-for]").forEach((button) => {
      button.addEventListener("click", () => choose(button));
    });
    document.querySelectorAll("select[data-navigate]").forEach((select) => {
      select.addEventListener("change", () => window.location.assign(select.value));
    });
    new MutationObserver(repaint).observe(document.documentElement, {
      attributes: true,
      attributeFilter: ["class"],
    });
  });
})();
