// Motion as a function of time: `run` 0..1 is the one pass from left to right, `mix` 0..1 the ease between what was and what is.
import {reducedMotion} from "../../toolkit/theme.js"
import {clamp, easeInOut, lerp} from "./core.js"

const RUN_MS = 2500
const PLAY_MS = 7000 // of ▶ Play: slower, to look at each part
const SPOKEN_MS = 30000 // and where a text explains each part: time to read it
const MIX_MS = 280
const LATE_MS = 1500 // an appended token: only its own lane moves
const UNSEEN_MS = 250 // between two drawings while the picture is off screen

export class Motion {
  /** speaks: called with the part that ▶ Play has come to (null: it is over); returns whether the page explains that part.
   *  seen: whether the picture is on screen; while it is not, it is drawn now and then, without motion. */
  constructor(draw, speaks = () => false, seen = () => true) {
    this.draw = draw
    this.speaks = speaks
    this.seen = seen
    this.rest = 0
    this.part = null
    this.run = 1
    this.mix = 1
    this.from = 0
    this.frame = 0
    this.runStart = this.mixStart = null
    this.asked = false // ▶ Play is on, with the next token hidden
    this.until = 1
    this.pace = PLAY_MS
  }

  play(from = 0) {
    this.asked = false
    this.until = 1
    this.from = from
    this.length = from > 0 ? LATE_MS : RUN_MS
    this.runStart = reducedMotion() ? null : performance.now()
    this.run = this.runStart === null ? 1 : 0
    this.request()
  }

  // ▶ Play: from the start, with the next token hidden. It can be paused and taken step by step; with reduced motion it goes by steps only.
  show() {
    this.from = 0
    this.asked = true
    this.run = 0
    this.runStart = null
    this.part = null
    this.pace = this.say() ? SPOKEN_MS : PLAY_MS
    if (reducedMotion()) this.step()
    else this.go()
  }

  // Tells which part Play has come to, once for each part.
  say() {
    const part = this.asked ? STEPS.findIndex((at) => at >= this.run - 1e-6) : null
    if (part === this.part) return false
    this.part = part
    return this.speaks(part === null ? null : PARTS[part])
  }

  // Play, pause, continue.
  toggle() {
    if (!this.asked) this.show()
    else if (this.held) this.go()
    else this.hold()
  }

  // Plays up to the part that a lesson explains; undefined: the lesson's step is about something else.
  showTo(until) {
    if (until === undefined) {
      if (this.asked) this.skip()
      return
    }
    if (!this.asked || this.run > until) {
      this.from = 0
      this.pace = PLAY_MS
      this.asked = true
      this.run = STEPS.findLast((at) => at < until) ?? 0 // earlier parts are drawn already: only the part itself moves
    }
    if (reducedMotion()) {
      this.run = until
      this.runStart = null
      this.request()
    } else this.go(until)
  }

  get held() {
    return this.asked && this.run < 1 && this.runStart === null
  }

  go(until = 1, length = this.pace) {
    this.until = until
    this.length = length
    this.runStart = performance.now() - this.run * length
    this.request()
  }

  hold() {
    this.runStart = null
    this.request()
  }

  // Plays on to the end of the next part.
  step() {
    const to = STEPS.find((at) => at > this.run + 1e-6) ?? 1
    if (reducedMotion()) {
      this.run = to
      this.runStart = null
      this.request()
    } else this.go(to, PLAY_MS) // not at the slow pace: there is time to read between two steps
  }

  ease() {
    this.mixStart = reducedMotion() ? null : performance.now()
    this.mix = this.mixStart === null ? 1 : 0
    this.request()
  }

  skip() {
    this.run = this.mix = 1
    this.asked = false
    this.say()
    this.runStart = this.mixStart = null
    this.request()
  }

  get moving() {
    return this.runStart !== null || this.mixStart !== null
  }

  get unseen() {
    return !this.asked && !this.seen()
  }

  request() {
    if (this.frame) return
    if (!this.unseen) this.soon()
    else this.rest ||= setTimeout(() => this.soon(), UNSEEN_MS) // never in the frame of what is looked at
  }

  soon() {
    clearTimeout(this.rest)
    this.rest = 0
    this.frame = requestAnimationFrame((now) => this.tick(now))
  }

  // To be called in a frame: draws what was asked for at once instead of in the next frame.
  flush(now) {
    if (!this.frame && !this.rest) return
    clearTimeout(this.rest)
    cancelAnimationFrame(this.frame)
    this.rest = 0
    this.tick(now)
  }

  tick(now) {
    this.frame = 0
    if (this.unseen) {
      this.run = this.mix = 1
      this.runStart = this.mixStart = null
    }
    if (this.runStart !== null) {
      this.run = clamp((now - this.runStart) / this.length, 0, this.until)
      if (this.run >= this.until) this.runStart = null
    }
    if (this.mixStart !== null) {
      this.mix = easeInOut(clamp((now - this.mixStart) / MIX_MS, 0, 1))
      if (now - this.mixStart >= MIX_MS) {
        this.mix = 1
        this.mixStart = null
      }
    }
    this.say()
    if (this.run >= 1 && this.asked) {
      this.asked = false
      this.say()
    }
    this.draw()
    if (this.moving) this.request()
  }

  stop() {
    clearTimeout(this.rest)
    if (this.frame) cancelAnimationFrame(this.frame)
    this.frame = 0
  }
}

// The share of the run at which each part is done.
export const PART_ENDS = {embedding: 0.1, qkv: 0.26, attention: 0.52, values: 0.72, mlp: 0.88, next: 1}
const PARTS = Object.keys(PART_ENDS)
const STEPS = Object.values(PART_ENDS)

const attention = (a) => [
  [0.17, a.qkv.x],
  [0.26, a.qkv.r],
  [0.52, a.mat.r],
  [0.63, a.z.r],
  [0.72, (a.shut2 ?? a.mlp).x],
  [0.82, (a.shut2 ?? a.mlp).r],
]
// Where attention is not opened: at one pace past its box.
const closed = (a) => [[0.17, (a.min ?? a.mlp).x]]

// Moments (share of the run) at which the front passes the columns. Attention gets the most time: there tokens meet.
export function fronts(L) {
  const a = L.at
  return [
    [0, a.embed.x],
    [0.1, a.embed.r],
    ...(a.mat.w ? attention(a) : closed(a)),
    [0.88, Math.max(a.plus1.r, a.plus2.r)],
    [0.95, a.nf.x],
    [1, a.next.x],
  ]
}

export function frontX(L, run) {
  const f = fronts(L)
  for (let i = 1; i < f.length; i++) {
    if (run <= f[i][0]) return lerp(f[i - 1][1], f[i][1], (run - f[i - 1][0]) / (f[i][0] - f[i - 1][0]))
  }
  return Infinity
}

// How far (0..1) the front has passed x0..x1 on lane i; lanes that were there before are whole.
export function passed(app, i, x0, x1) {
  if (app.motion.run >= 1 || i < app.motion.from) return 1
  return clamp((app.front - x0) / Math.max(1, x1 - x0), 0, 1)
}

// Progress of attention itself, 0..1, while the front crosses the matrix.
export function attending(app) {
  return app.motion.run >= 1 ? 1 : clamp((app.motion.run - 0.26) / 0.26, 0, 1)
}

// Cell (i, j): key j must have reached its diagonal and come down to lane i.
export function cellIn(app, i, j, n) {
  if (app.motion.run >= 1 || i < app.motion.from) return 1
  const start = app.motion.from > 0 ? 0.55 * (j / n) : 0.5 * (j / n) + 0.34 * (Math.abs(i - j) / n)
  return clamp((attending(app) - start) / 0.16, 0, 1)
}
