import {number, percent} from "../../txpanel/toolkit/numbers.js"
import {given} from "./given.js"

const {values, shares} = given()
const numbers = {2: values.map((value) => number(value, 2)), 4: values.map((value) => number(value, 4))}
console.log(JSON.stringify({numbers, percents: shares.map((share) => percent(share))}))
