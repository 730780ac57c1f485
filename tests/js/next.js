import {rules} from "../../txpanel/decoding/stage_rules.js"
import {nextTokens} from "../../txpanel/views/flow/next_list.js"
import {given} from "./given.js"

const {declared, cases} = given()
for (const {key} of declared) rules[key] = await import(`../../txpanel/decoding/stages/${key}.js`)
const found = cases.map(({sent, odds, settings}) => {
  const {
    ids,
    share,
    probability,
    rest,
    rest_share,
    rest_left,
    sampled,
    strings,
    draw,
    settings: own,
  } = nextTokens(sent, odds, settings, declared)
  return {ids, share, probability, rest, rest_share, rest_left, sampled, strings, draw, settings: own}
})
console.log(JSON.stringify(found))
