/** The calculator: fields, figures, and the chart of readability. */
import "./capacity.css"
import { drawChances } from "./chart.ts"
import { FIELDS, type FieldName, type FieldSpec, type Values } from "./fields.ts"
import { chanceAt, chancesOf, percent, problemOf, rowsOf } from "./figures.ts"

const byId = <T extends HTMLElement>(id: string) => document.getElementById(id) as T
const form = byId<HTMLFormElement>("form")
const inputs = new Map<FieldName, HTMLInputElement>()

for (const spec of FIELDS) byId(spec.group).append(fieldOf(spec))
form.addEventListener("input", show)
// The values are those of the start only after the event.
form.addEventListener("reset", () => setTimeout(show))
form.addEventListener("submit", (event) => event.preventDefault())
show()

function fieldOf(spec: FieldSpec & { name: FieldName }): HTMLElement {
  const label = document.createElement("label")
  const name = document.createElement("span")
  name.textContent = spec.label
  const input = document.createElement("input")
  input.type = "number"
  input.inputMode = "decimal"
  input.required = true
  input.name = spec.name
  for (const [attribute, value] of Object.entries({ min: spec.min, max: spec.max, step: spec.step })) {
    input.setAttribute(attribute, String(value))
  }
  input.defaultValue = String(spec.start)
  inputs.set(spec.name, input)
  const box = document.createElement("span")
  box.className = "box"
  box.append(input, spec.unit ?? "")
  label.append(name, box)
  if (spec.hint !== undefined) {
    const hint = document.createElement("small")
    hint.id = `hint-${spec.name}`
    hint.textContent = spec.hint
    input.setAttribute("aria-describedby", hint.id)
    label.append(hint)
  }
  return label
}

/** Undefined while a field has no usable number. */
function read(): Values | undefined {
  const values: Partial<Values> = {}
  for (const [name, input] of inputs) {
    // Without a word the attribute would say "no".
    if (input.validity.valid) input.removeAttribute("aria-invalid")
    else input.setAttribute("aria-invalid", "true")
    if (input.validity.valid) values[name] = input.valueAsNumber
  }
  return Object.keys(values).length === inputs.size ? (values as Values) : undefined
}

function show(): void {
  const values = read()
  const problem = values === undefined ? "A field has a value that cannot be used." : problemOf(values)
  byId("problem").textContent = problem ?? ""
  if (values === undefined || problem !== undefined) return
  byId("need").textContent = String(values.source)
  byId("results").replaceChildren(...rowsOf(values).map(({ name, pieces, copies }) => row(name, pieces, copies ?? "")))
  const chances = chancesOf(values)
  const now = chanceAt(values, values.availability / 100)
  byId("sentence").textContent =
    `With ${values.availability} % of the devices there, a recording can be read at once in ${percent(now.distinct)} of cases.`
  byId("chart").replaceChildren(drawChances(chances, now))
  byId("chances").replaceChildren(
    ...chances
      .filter((_, i) => i % 5 === 0)
      .map(({ availability, distinct, independent }) => row(percent(availability), percent(distinct), percent(independent))),
  )
}

function row(name: string, ...cells: string[]): HTMLTableRowElement {
  const line = document.createElement("tr")
  const head = document.createElement("th")
  head.scope = "row"
  head.textContent = name
  line.append(head)
  for (const cell of cells) line.insertCell().textContent = cell
  return line
}
