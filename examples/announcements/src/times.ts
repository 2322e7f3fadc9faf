import { publish } from "./announce";

const TIME_ZONE = "Europe/Berlin";

/** What is announced at fixed times. */
export function fixedTimes(): void {
  cron("good-morning", "0 9 * * MON-FRI", () => publish("Good morning! Remember to water the ferns."), {
    timeZone: TIME_ZONE,
    catchUp: "latest",
  });
  cron("look-back", "0 17 * * FRI", () => publish("The week is over. What grew?"), { timeZone: TIME_ZONE });
}
